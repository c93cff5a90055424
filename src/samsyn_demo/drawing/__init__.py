"""Drawing tools: noise and resampling, planes in millimetres, branching vessels, ultrasound sectors."""
