package egress

import (
	"context"
	"net/netip"
)

// Forbidden says why an address is not to be reached.
var Forbidden = forbidden

// Allowed reports whether an address may be reached.
func Allowed(a netip.Addr, allow []netip.Prefix) bool {
	return guard{allow}.allowed(a) || forbidden(a) == ""
}

// Control is the check of a connection, with plain HTTP or TLS.
func Control(plain bool, address string, allow []netip.Prefix) error {
	ctx := context.Background()
	if plain {
		ctx = context.WithValue(ctx, plainKey{}, true)
	}
	return guard{allow}.control(ctx, "tcp", address, nil)
}
