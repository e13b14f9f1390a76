package web

const wsPath = "/api/v1/ws"
