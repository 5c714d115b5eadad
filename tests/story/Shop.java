import java.io.IOException;

import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

/**
 * The application: a newcomer gets a form; sent to /login it puts the user into the session and leads to /welcome at
 * once, which shows who it is.
 */
public final class Shop extends HttpServlet {
    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        request.getSession().setAttribute("user", request.getParameter("user"));
        response.sendRedirect("welcome");
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (request.getRequestedSessionId() == null) {
            response.setContentType("text/html");
            response.getWriter().println("<form method='post' action='login'><input name='user'></form>");
            return;
        }
        Object user = request.getSession().getAttribute("user");
        response.setContentType("text/plain");
        response.getWriter().println(user == null ? "no user" : "user " + user);
    }
}
