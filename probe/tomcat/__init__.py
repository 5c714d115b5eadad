"""A Tomcat's own files: server.xml becomes settings."""
