"""The adapters that come with the SDK. Each imports its framework only when it trains."""
