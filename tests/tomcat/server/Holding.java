import org.apache.catalina.tribes.ChannelMessage;
import org.apache.catalina.tribes.group.ChannelInterceptorBase;

/** Holds the receiver thread of every message that says "hold", until it is told to release them. */
public final class Holding extends ChannelInterceptorBase implements HoldingMBean {
    private static final Object HELD = new Object();

    static void release() {
        synchronized (HELD) {
            HELD.notifyAll();
        }
    }

    @Override
    public void messageReceived(ChannelMessage message) {
        byte[] text = new byte[message.getMessage().getLength()];
        System.arraycopy(message.getMessage().getBytesDirect(), 0, text, 0, text.length);
        if (!new String(text).equals("hold")) {
            super.messageReceived(message);
            return;
        }
        Text.say("holding");
        synchronized (HELD) {
            try {
                HELD.wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
