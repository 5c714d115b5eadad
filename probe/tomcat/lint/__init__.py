"""What is wrong with a <Cluster>: rules over a Tomcat's own files, for its own release."""
