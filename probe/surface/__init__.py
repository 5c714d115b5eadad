"""What is shown: projections of the model that own no state of the cluster."""
