"""A kubelet whose containers are plain processes: one Node of the stack, which runs the pods bound to it.

What differs from a real one, since there are neither images nor mount namespaces: `image` is ignored and `command`
must say what to run, with the checkout's Python first on PATH; the paths of `volumeMounts` lie below the folder that
the environment variable POD_ROOT names, where its process starts; a change of a ConfigMap is projected within 2 s
instead of a minute or two; all pods share the loopback, where each has an IP of its own that it should listen on
(status.podIP, 127.x.y.z). Environment, volumes, tokens, probes, restarts, grace and logs are as users know them.
"""
