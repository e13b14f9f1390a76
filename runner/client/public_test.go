package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/trainwright/trainwright/pipelines"
	"github.com/trainwright/trainwright/runner/client"
)

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"93.184.215.14": true, "8.8.8.8": true, "2606:4700::1111": true, "100.63.255.255": true, "172.32.0.1": true,
		"127.0.0.1": false, "127.8.9.10": false, "::1": false, "0.0.0.0": false, "::": false, "0.1.2.3": false,
		"10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "fd00::1": false, "fec0::1": false,
		"169.254.169.254": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "100.100.100.200": false, "192.0.0.192": false, "168.63.129.16": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::127.0.0.1": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "198.18.0.1": false,
	} {
		if got := client.Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: public %v, want %v", address, got, want)
		}
	}
}

// TestNamesOfPrivateAddresses asks by name and in the odd ways to write an
// address: what counts is where the connection would go.
func TestNamesOfPrivateAddresses(t *testing.T) {
	reached := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached++; _, _ = w.Write([]byte("{}")) }))
	defer server.Close()
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	t.Setenv("HTTP_PROXY", server.URL) // and no proxy is asked to do it
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"} {
		c, err := client.Connect("http://"+host+":"+port, client.Options{PublicOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Get(context.Background(), "/", nil); pipelines.CodeOf(err) != pipelines.CodeInvalid || !strings.Contains(err.Error(), "--allow-private-addresses") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if reached != 0 {
		t.Errorf("%d requests went through", reached)
	}
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Get(context.Background(), "/", nil); err != nil || reached != 1 {
		t.Errorf("an address that was not named by a stranger: %v", err)
	}
}

// TestRedirectIsNotFollowed: a public server may not lead elsewhere, with the token.
func TestRedirectIsNotFollowed(t *testing.T) {
	reached := false
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	defer outer.Close()
	c, err := client.New(outer.URL, "token")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.PostOnce(context.Background(), "/x", struct{}{}, nil); err == nil || reached {
		t.Errorf("reached %v, error %v", reached, err)
	}
}
