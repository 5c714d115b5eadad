import java.io.IOException;

import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * The application: /app/login?NAME makes a session for NAME; any other path answers whose session this is. A valve,
 * because a servlet's package differs between Tomcat 9 and 10.
 */
final class Login extends ValveBase {
    @Override
    public void invoke(Request request, Response response) throws IOException {
        boolean login = request.getRequestURI().endsWith("/login");
        var session = request.getSession(login);
        if (login) {
            session.setAttribute("user", request.getQueryString());
        }
        Object user = session == null ? null : session.getAttribute("user");
        response.setContentType("text/plain");
        response.getWriter().print(user == null ? "nobody" : user);
    }
}
