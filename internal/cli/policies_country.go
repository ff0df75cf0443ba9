package cli

import (
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
)

// openCountries opens a MaxMind database and gives the look-up of an address's
// country: false if the database maps it to none.
func openCountries(name string) (look func(netip.Addr) (string, bool), done func(), err error) {
	db, err := maxminddb.Open(name)
	if err != nil {
		return nil, nil, err
	}
	look = func(a netip.Addr) (string, bool) {
		var code string
		if err := db.Lookup(a).DecodePath(&code, "country", "iso_code"); err != nil || code == "" {
			return "", false
		}
		return code, true
	}
	return look, func() { _ = db.Close() }, nil
}
