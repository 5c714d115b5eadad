import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.logging.SimpleFormatter;

import org.apache.catalina.startup.Catalina;

/**
 * Starts one Tomcat after another, each from a server.xml that a line of standard input names, and stops it again.
 * Prints what it logged, each line after "log ", and "ended" with what became of it: started, failed or unread.
 */
public final class Starter {
    /** Milliseconds that a Tomcat runs, so that what its members do to each other is in its log. */
    private static final long LIFE = 700;
    /** Milliseconds for a clean stop: 7.0's MessageDispatchInterceptor may wait for its own lock. */
    private static final long STOP = 5000;

    private Starter() {
    }

    /** Gathers what is logged, each cause of an exception in a line of its own. */
    private static final class Log extends Handler {
        private final SimpleFormatter formatter = new SimpleFormatter();
        private final StringBuilder text = new StringBuilder();

        @Override
        public synchronized void publish(LogRecord record) {
            line(record.getLevel().getName() + " " + formatter.formatMessage(record));
            for (Throwable each = record.getThrown(); each != null; each = each.getCause()) {
                line("caused by " + each);
            }
        }

        private void line(String said) {
            text.append("log ").append(said.replace('\n', ' ')).append('\n');
        }

        synchronized String take() {
            String said = text.toString();
            text.setLength(0);
            return said;
        }

        @Override
        public void flush() {
            // nothing waits
        }

        @Override
        public void close() {
            // nothing is open
        }
    }

    public static void main(String[] args) throws Exception {
        Logger root = Logger.getLogger("");
        for (Handler each : root.getHandlers()) {
            root.removeHandler(each);
        }
        Log log = new Log();
        root.addHandler(log);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String path = orders.readLine(); path != null; path = orders.readLine()) {
            log.take();
            String end = live(path);
            System.out.print(log.take());
            Text.say("ended " + end);
        }
        System.exit(0);
    }

    private static String live(String path) throws Exception {
        // 9.0 and later read the first file that is named, and no other: so it is always the same one
        String config = System.getProperty("catalina.base") + "/conf/server.xml";
        copy(path, config);
        final Catalina catalina = new Catalina();
        catalina.setParentClassLoader(Starter.class.getClassLoader());
        catalina.load(new String[] {"-config", config, "start"});
        if (catalina.getServer() == null) {
            return "unread";
        }
        catalina.start();
        String end = catalina.getServer() == null || isDown(catalina) ? "failed" : "started";
        Thread.sleep(LIFE);
        Thread stop = new Thread() {
            @Override
            public void run() {
                catalina.stop();
            }
        };
        stop.setDaemon(true);
        stop.start();
        stop.join(STOP);
        return end;
    }

    /** Tells whether the server did not get up; 6.0 does not say. */
    private static boolean isDown(Catalina catalina) throws Exception {
        Object server = catalina.getServer();
        try {
            return !server.getClass().getMethod("getStateName").invoke(server).equals("STARTED");
        } catch (NoSuchMethodException old) {
            return false;
        }
    }

    private static void copy(String from, String to) throws Exception {
        InputStream in = new FileInputStream(from);
        OutputStream out = new FileOutputStream(new File(to));
        byte[] block = new byte[65536];
        for (int read = in.read(block); read >= 0; read = in.read(block)) {
            out.write(block, 0, read);
        }
        in.close();
        out.close();
    }
}
