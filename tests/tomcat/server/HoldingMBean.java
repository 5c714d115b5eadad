/** What JMX wants of an interceptor. */
public interface HoldingMBean {
}
