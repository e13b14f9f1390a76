package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

var errNotPublic = errors.New("the address is not a public one")

// publicDialer connects to public addresses only. It looks at the address that
// is really connected to, after the name was resolved: a name that resolves to
// another address the second time gains nothing.
func publicDialer() func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %s", errNotPublic, address)
		}
		if !Public(at.Addr()) {
			return fmt.Errorf("%w: %s is of this machine or of a private network; the server's operator allows such addresses with --allow-private-addresses", errNotPublic, at.Addr())
		}
		return nil
	}}
	return d.DialContext
}

// reserved are networks that are not the internet's, besides those that
// package netip knows.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),        // this network
	netip.MustParsePrefix("100.64.0.0/10"),    // behind a carrier's NAT; metadata of some clouds
	netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments; metadata of some clouds
	netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
	netip.MustParsePrefix("64:ff9b::/96"),     // IPv4 behind NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"),   // the same, local
	netip.MustParsePrefix("2002::/16"),        // IPv4 behind 6to4
	netip.MustParsePrefix("2001::/32"),        // IPv4 behind Teredo
	netip.MustParsePrefix("fec0::/10"),        // site-local, of old
	netip.MustParsePrefix("::/96"),            // IPv4, of old
	netip.MustParsePrefix("168.63.129.16/32"), // a cloud's own services
}

// Public reports that an address is of the internet: not of this machine, a
// private or link-local network, or a cloud's metadata.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsUnspecified() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsInterfaceLocalMulticast() {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
