"""The stack itself: real parts that come up together and leave nothing behind."""

from demo.stack import Stack


def test_a_deployment_gets_its_pods(stack: Stack, namespace: str):
    stack.kubectl("create", "deployment", "web", "--image=web", "--replicas=2", "-n", namespace)
    stack.kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "-n", namespace, "--timeout=30s")
