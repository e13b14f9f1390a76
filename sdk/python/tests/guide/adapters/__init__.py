from .myframework_adapter import MyFrameworkAdapter

ADAPTER_REGISTRY = {
    "myframework": MyFrameworkAdapter,
}
