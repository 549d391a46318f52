"""What a person has on the screen, how it is asked after, and the machine facts a report names.

Never judges; unknown stays unknown.
"""
