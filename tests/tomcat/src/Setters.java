import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;

/** Answers each class name with the attributes that Tomcat's Digester can set on it, or "absent". */
public final class Setters {
    private static final List<String> TAKEN =
            Arrays.asList("java.lang.String", "int", "long", "boolean", "java.net.InetAddress");

    private Setters() {
    }

    public static void main(String[] args) throws Exception {
        BufferedReader names = new BufferedReader(new InputStreamReader(System.in));
        for (String name = names.readLine(); name != null; name = names.readLine()) {
            Text.say(name + " " + setters(name));
        }
    }

    private static String setters(String name) {
        Class<?> type;
        try {
            type = Class.forName(name, false, Setters.class.getClassLoader());
        } catch (ClassNotFoundException absent) {
            return "absent";
        }
        TreeSet<String> found = new TreeSet<String>();
        for (Method method : type.getMethods()) {
            Class<?>[] takes = method.getParameterTypes();
            String called = method.getName();
            if (called.length() > 3 && called.startsWith("set") && takes.length == 1
                    && TAKEN.contains(takes[0].getName())) {
                found.add(Character.toLowerCase(called.charAt(3)) + called.substring(4));
            }
        }
        return found.toString();
    }
}
