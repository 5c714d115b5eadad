import java.io.IOException;

import org.apache.catalina.connector.Request;
import org.apache.catalina.connector.Response;
import org.apache.catalina.valves.ValveBase;

/**
 * The application: /app/login?NAME makes a session for NAME, a form sent there renews its id and redirects to
 * /app/shop, which makes a session, too; /app/logout ends it. Any path answers whose session this is. A valve,
 * because a servlet's package differs between Tomcat 9 and 10.
 */
final class Application extends ValveBase {
    @Override
    public void invoke(Request request, Response response) throws IOException {
        String path = request.getRequestURI().replaceFirst(";.*", "");
        var session = request.getSession(path.endsWith("/login") || path.endsWith("/shop"));
        if (request.getMethod().equals("POST")) {
            logIn(request, response);
            return;
        }
        if (path.endsWith("/login")) {
            session.setAttribute("user", request.getQueryString());
        }
        Object user = session == null ? null : session.getAttribute("user");
        if (path.endsWith("/logout") && session != null) {
            session.invalidate();
        }
        response.setContentType("text/plain");
        response.getWriter().print(user == null ? "nobody" : user);
    }

    private static void logIn(Request request, Response response) throws IOException {
        if (!"secret".equals(request.getParameter("password"))) {
            response.sendError(403);
            return;
        }
        request.changeSessionId();
        request.getSession().setAttribute("user", request.getParameter("user"));
        response.sendRedirect(response.encodeRedirectURL("/app/shop"));
    }
}
