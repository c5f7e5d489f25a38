"""Hardware: the only door to machine, network and esp32."""
