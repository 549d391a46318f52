"""`steadyrun doctor`: what this machine can contain and watch, judged, and proved with tiny loads."""
