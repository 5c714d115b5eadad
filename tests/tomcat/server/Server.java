import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;

import org.apache.catalina.Container;
import org.apache.catalina.Context;
import org.apache.catalina.Host;
import org.apache.catalina.Session;
import org.apache.catalina.ha.CatalinaCluster;
import org.apache.catalina.startup.Catalina;

/**
 * A whole Tomcat, from the server.xml of its catalina.base. Says "ready" and starts at the first line of
 * standard input; takes "members", "create" (a session), "sessions", "release" and "stop" (a clean one).
 */
public final class Server {
    private Server() {
    }

    public static void main(String[] args) throws Exception {
        Catalina catalina = new Catalina();
        catalina.setParentClassLoader(Server.class.getClassLoader());
        catalina.load(new String[] {"-config", System.getProperty("catalina.base") + "/conf/server.xml", "start"});
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        Text.say("ready");
        orders.readLine();
        catalina.start();
        Host host = (Host) catalina.getServer().findServices()[0].getContainer().findChildren()[0];
        CatalinaCluster cluster = (CatalinaCluster) host.getCluster();
        application(host).getPipeline().addValve(new Application());
        Text.say("member " + (cluster == null ? "{}" : Text.member(cluster.getLocalMember())));

        for (String order = orders.readLine(); order != null && !order.equals("stop"); order = orders.readLine()) {
            if (order.equals("members")) {
                Text.say("members " + Text.names(cluster.getMembers()));
            } else if (order.equals("create")) {
                application(host).getManager().createSession(null).setValid(true);
                Text.say("created");
            } else if (order.equals("release")) {
                Holding.release();
            } else if (order.equals("sessions")) {
                Text.say("sessions " + sessions(host));
            }
        }
        catalina.stop();
        Text.say("stopped");
        System.exit(0);
    }

    private static Context application(Host host) {
        Container child = host.findChild("/app");
        if (child == null) {
            throw new IllegalStateException("no application was deployed");
        }
        return (Context) child;
    }

    /** Says how many there are and a number that changes with them; ids are secrets. */
    private static String sessions(Host host) {
        Session[] sessions = application(host).getManager().findSessions();
        String[] facts = new String[sessions.length];
        for (int i = 0; i < facts.length; i++) {
            facts[i] = sessions[i].getIdInternal() + sessions[i].getLastAccessedTimeInternal();
        }
        Arrays.sort(facts);
        return facts.length + " " + Arrays.hashCode(facts);
    }
}
