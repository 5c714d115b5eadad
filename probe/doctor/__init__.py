"""Why a cluster does not form, looked for on this host in the order in which the packets go."""
