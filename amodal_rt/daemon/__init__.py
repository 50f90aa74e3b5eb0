"""The only place that builds things: assembly, start order, stop order, one daemon a workspace.

In: a workspace folder and where to listen. Out: a running daemon, or the reason why not.
Nothing below knows which classes were chosen here; `Runtime` embeds the same assembly in
another program.
"""
