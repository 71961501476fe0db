"""How the node image is made; provisioning/image/build and disk are the programs."""
