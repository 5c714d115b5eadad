"""tribes-probe: says from the network whether a Tomcat session cluster is one cluster."""
