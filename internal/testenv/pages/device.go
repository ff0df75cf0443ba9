package pages

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Device signs in with the code of a device at the address that it shows, and gives
// the text of the page at the end.
func (p *Person) Device(address, code string) string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, address, strings.NewReader(url.Values{"otc": {code}}.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := p.client.Do(r)
	if err != nil {
		p.t.Fatalf("opening %s: %v", address, err)
	}
	defer response.Body.Close()
	location, err := response.Location()
	if err != nil { // the code is not taken
		data, err := io.ReadAll(response.Body)
		if err != nil {
			p.t.Fatal(err)
		}
		return string(data)
	}
	_, text := p.Follow(location.String())
	return text
}
