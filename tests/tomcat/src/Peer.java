import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;

import org.apache.catalina.tribes.Channel;
import org.apache.catalina.tribes.ChannelListener;
import org.apache.catalina.tribes.Member;
import org.apache.catalina.tribes.MembershipListener;
import org.apache.catalina.tribes.group.GroupChannel;
import org.apache.catalina.tribes.group.interceptors.TcpFailureDetector;
import org.apache.catalina.tribes.membership.McastService;
import org.apache.catalina.tribes.transport.ReceiverBase;

/**
 * One member on the Tribes classes alone, of any branch from 6.0 on. Arguments: key=value. Says "ready" and
 * starts at the first line of standard input. Prints a line for each thing that happens; takes "members",
 * "release" and "stop" (a clean one). A message that comes in holds its receiver thread until "release".
 */
public final class Peer implements MembershipListener, ChannelListener {
    private final Object held = new Object();

    public static void main(String[] args) throws Exception {
        Map<String, String> settings = new HashMap<>();
        for (String arg : args) {
            settings.put(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
        }
        new Peer().run(settings);
    }

    private void run(Map<String, String> settings) throws Exception {
        GroupChannel channel = new GroupChannel();
        ReceiverBase receiver = (ReceiverBase) channel.getChannelReceiver();
        receiver.setAddress(settings.get("address"));
        receiver.setPort(Integer.parseInt(settings.getOrDefault("port", "4000")));
        receiver.setAutoBind(1);
        receiver.setMinThreads(Integer.parseInt(settings.getOrDefault("threads", "6")));
        receiver.setMaxThreads(Integer.parseInt(settings.getOrDefault("threads", "6")));
        McastService membership = (McastService) channel.getMembershipService();
        membership.setAddress(settings.getOrDefault("group", "228.0.0.4"));
        membership.setPort(Integer.parseInt(settings.getOrDefault("groupPort", "45564")));
        membership.setFrequency(Long.parseLong(settings.getOrDefault("frequency", "500")));
        membership.setDropTime(Long.parseLong(settings.getOrDefault("dropTime", "3000")));
        if (settings.containsKey("bind")) {
            membership.setBind(settings.get("bind"));
        }
        if (settings.containsKey("domain")) {
            membership.setDomain(Text.bytes(settings.get("domain")));
        }
        if (settings.containsKey("payload")) {
            membership.setPayload(Text.bytes(settings.get("payload")));
        }
        channel.addInterceptor(new TcpFailureDetector());
        channel.addMembershipListener(this);
        channel.addChannelListener(this);
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        Text.say("ready");
        orders.readLine();
        channel.start(Channel.DEFAULT);
        Text.say("member " + Text.member(channel.getLocalMember(false)));
        for (String order = orders.readLine(); order != null && !order.equals("stop"); order = orders.readLine()) {
            if (order.equals("members")) {
                Text.say("members " + Text.names(channel.getMembers()));
            } else if (order.equals("release")) {
                synchronized (held) {
                    held.notifyAll();
                }
            }
        }
        channel.stop(Channel.DEFAULT);
        Text.say("stopped");
        System.exit(0);
    }

    @Override
    public void memberAdded(Member member) {
        Text.say("added " + Text.name(member));
    }

    @Override
    public void memberDisappeared(Member member) {
        Text.say("gone " + Text.name(member));
    }

    @Override
    public boolean accept(Serializable message, Member sender) {
        return true;
    }

    @Override
    public void messageReceived(Serializable message, Member sender) {
        Text.say("holding");
        synchronized (held) {
            try {
                held.wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
