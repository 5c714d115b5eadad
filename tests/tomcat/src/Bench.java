import java.lang.management.ManagementFactory;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Collections;
import java.util.Random;

import com.sun.management.OperatingSystemMXBean;
import org.apache.catalina.tribes.membership.MemberImpl;
import org.apache.catalina.tribes.membership.Membership;

/**
 * What one heartbeat costs McastServiceImpl.memberDataReceived: MemberImpl.getMember and Membership.memberAlive,
 * for each argument (a number of members) the CPU nanoseconds, warmed up.
 */
public final class Bench {
    private static final OperatingSystemMXBean CLOCK =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final long WARM = 1_500_000_000L;
    private static final long MEASURED = 1_500_000_000L;
    private static final int BATCH = 50; // between two looks at the clock

    private Bench() {
    }

    public static void main(String[] args) throws Exception {
        for (String arg : args) {
            Text.say(arg + " " + nanoseconds(Integer.parseInt(arg)));
        }
    }

    private static long nanoseconds(int members) throws Exception {
        Membership membership = new Membership(new MemberImpl("127.0.0.1", 4999, 0));
        Method alive = aliveMethod();
        byte[][] beats = new byte[members][];
        Random random = new Random(members);
        for (int i = 0; i < members; i++) {
            MemberImpl member = new MemberImpl("10.0.0.1", 4000, 0);
            member.setHost(new byte[] {10, (byte) (i >> 16), (byte) (i >> 8), (byte) i});
            member.setUniqueId(uniqueId(i));
            beats[i] = member.getData(true).clone();
        }
        Collections.shuffle(Arrays.asList(beats), random); // nodes do not send in the order of their addresses
        long[] started = random.longs(members, 1000, 86_400_000).toArray(); // and started some time today
        int at = 0;
        for (long until = CLOCK.getProcessCpuTime() + WARM; CLOCK.getProcessCpuTime() < until; at++) {
            hear(membership, alive, beats, started, at);
        }
        int first = at;
        long from = CLOCK.getProcessCpuTime();
        for (; CLOCK.getProcessCpuTime() < from + MEASURED; at++) {
            hear(membership, alive, beats, started, at);
        }
        return (CLOCK.getProcessCpuTime() - from) / ((long) (at - first) * BATCH);
    }

    /** Takes the next beats, as they come: one of each member in turn, its alive time one period on. */
    private static void hear(Membership membership, Method alive, byte[][] beats, long[] started, int turn) throws Exception {
        for (int i = turn * BATCH; i < (turn + 1) * BATCH; i++) {
            byte[] beat = beats[i % beats.length];
            long time = started[i % beats.length] + 500L * (1 + i / beats.length);
            for (int at = 0; at < 8; at++) {
                beat[14 + at] = (byte) (time >> 8 * (7 - at));
            }
            alive.invoke(membership, MemberImpl.getMember(beat));
        }
    }

    private static Method aliveMethod() {
        for (Method method : Membership.class.getMethods()) {
            if (method.getName().equals("memberAlive")) {
                return method;
            }
        }
        throw new AssertionError("Membership has no memberAlive");
    }

    private static byte[] uniqueId(int number) {
        byte[] id = new byte[16];
        for (int at = 0; at < 4; at++) {
            id[15 - at] = (byte) (number >> 8 * at);
        }
        return id;
    }
}
