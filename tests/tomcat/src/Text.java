import java.net.InetAddress;
import java.net.UnknownHostException;

import org.apache.catalina.tribes.Member;

/** How Java's side of a test writes its values: one line each, member fields as JSON, bytes as hex. */
final class Text {
    private Text() {
    }

    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    static String member(Member member) {
        return "{\"host\":\"" + hex(member.getHost()) + "\",\"port\":" + member.getPort() + ",\"secure_port\":"
                + member.getSecurePort() + ",\"udp_port\":" + udpPort(member) + ",\"alive_ms\":"
                + member.getMemberAliveTime() + ",\"unique_id\":\"" + hex(member.getUniqueId()) + "\",\"command\":\""
                + hex(member.getCommand()) + "\",\"domain\":\"" + hex(member.getDomain()) + "\",\"payload\":\""
                + hex(member.getPayload()) + "\"}";
    }

    /** Tomcat 6 has no such port; -1 is what the others say then. */
    private static int udpPort(Member member) {
        try {
            return ((Integer) Member.class.getMethod("getUdpPort").invoke(member)).intValue();
        } catch (ReflectiveOperationException e) {
            return -1;
        }
    }

    static String name(Member member) {
        try {
            String host = InetAddress.getByAddress(member.getHost()).getHostAddress();
            return host + ":" + member.getPort() + " " + hex(member.getUniqueId());
        } catch (UnknownHostException e) {
            return hex(member.getHost()) + ":" + member.getPort() + " " + hex(member.getUniqueId());
        }
    }

    static String names(Member[] members) {
        String[] names = new String[members.length];
        for (int i = 0; i < names.length; i++) {
            names[i] = name(members[i]).replace(' ', '#');
        }
        java.util.Arrays.sort(names);
        return String.join(" ", names);
    }

    static String hex(byte[] data) {
        StringBuilder text = new StringBuilder();
        for (byte octet : data == null ? new byte[0] : data) {
            text.append(String.format("%02x", octet));
        }
        return text.toString();
    }

    static byte[] bytes(String hex) {
        byte[] data = new byte[hex.length() / 2];
        for (int i = 0; i < data.length; i++) {
            data[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        }
        return data;
    }
}
