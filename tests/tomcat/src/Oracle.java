import java.io.BufferedReader;
import java.io.InputStreamReader;

import org.apache.catalina.tribes.io.ChannelData;
import org.apache.catalina.tribes.io.XByteBuffer;
import org.apache.catalina.tribes.membership.MemberImpl;

/**
 * Says what Tomcat's own classes make of bytes: lines "member HEX" and "frames HEX" from standard input, one
 * line of answer for each. An answer is the value, or "error CLASS".
 */
public final class Oracle {
    private Oracle() {
    }

    public static void main(String[] args) throws Exception {
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in));
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            byte[] data = Text.bytes(line.substring(line.indexOf(' ') + 1));
            Text.say(line.startsWith("member") ? member(data) : frames(data));
        }
    }

    private static String member(byte[] data) {
        try {
            return "member " + Text.member(MemberImpl.getMember(data));
        } catch (Throwable refused) {
            return "error " + refused.getClass().getName();
        }
    }

    /** Answers the number of whole frames, the options of each that is ChannelData, and the bytes left. */
    private static String frames(byte[] data) {
        XByteBuffer buffer = new XByteBuffer(data.length + 1, true);
        StringBuilder answer = new StringBuilder("frames");
        try {
            buffer.append(data, 0, data.length);
            while (buffer.doesPackageExist()) {
                answer.append(' ').append(content(buffer.extractDataPackage(true)));
            }
        } catch (Throwable refused) {
            return "error " + refused.getClass().getName();
        }
        return answer.append(" left ").append(buffer.getLength()).toString();
    }

    private static String content(XByteBuffer data) {
        try {
            ChannelData message = ChannelData.getDataFromPackage(data);
            return message.getOptions() + ":" + message.getMessage().getLength() + ":"
                    + Text.hex(message.getUniqueId());
        } catch (Throwable refused) {
            return "(" + refused.getClass().getName() + ")";
        }
    }
}
