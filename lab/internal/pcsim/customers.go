package pcsim

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// Pages of the list of customers: the largest is the documented one.
const (
	usualPage   = 100
	largestPage = 500
	tokenHeader = "MS-ContinuationToken"
)

// relation is a customer of the partner.
type relation struct{ id, name, domain string }

// relations are the customers whose relationship has not ended, by id.
func (r *request) relations() []relation {
	now := r.server.cfg.Store.Now()
	out := []relation{}
	r.server.cfg.Store.Tenants(func(t *directory.Tenant) {
		if _, ok := partnership(t, r.partner, now); ok {
			out = append(out, relation{t.ID, t.Name, t.Initial()})
		}
	})
	slices.SortFunc(out, func(a, b relation) int { return cmp.Compare(a.id, b.id) })
	return out
}

// partnership is a relationship that a tenant has with a partner now.
func partnership(t *directory.Tenant, partner string, now time.Time) (directory.Partnership, bool) {
	i := slices.IndexFunc(t.Partners, func(p directory.Partnership) bool {
		return p.Partner == partner && (p.Until.IsZero() || !now.After(p.Until))
	})
	if i < 0 {
		return directory.Partnership{}, false
	}
	return t.Partners[i], true
}

// customers is the list, page by page: links.next has the address of the next
// page and the header that goes with it.
func (r *request) customers() (int, map[string]any, *fault) {
	if refused := r.agent(); refused != nil {
		return 0, nil, refused
	}
	query := r.http.URL.Query()
	size := usualPage
	if text := query.Get("size"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > largestPage {
			return 0, nil, refuse(http.StatusBadRequest, 400, "The parameter size must be from 1 to 500.")
		}
		size = n
	}
	all := r.relations()
	first := 0
	if held := r.http.Header.Get(tokenHeader); held != "" || strings.EqualFold(query.Get("seekOperation"), "Next") {
		data, err := base64.StdEncoding.DecodeString(held)
		id, _ := strings.CutPrefix(string(data), "after ")
		if err != nil || id == string(data) {
			return 0, nil, refuse(http.StatusBadRequest, 400, "The next page is asked for with seekOperation=Next and the header MS-ContinuationToken of the page before.")
		}
		first, _ = slices.BinarySearchFunc(all, id+"\x00", func(c relation, id string) int { return cmp.Compare(c.id, id) })
	}
	page := all[first:]
	if len(page) > size {
		page = page[:size]
	}
	if r.server.cfg.Random.Chance(2) && len(page) > 2 {
		page = page[:len(page)-1] // a page may be shorter than asked
	}
	items := []any{}
	for _, c := range page {
		items = append(items, c.describe())
	}
	self := "/customers?size=" + strconv.Itoa(size)
	links := map[string]any{"self": link(self)}
	if first+len(page) < len(all) {
		next := link(self + "&seekOperation=Next")
		next["headers"] = []any{map[string]any{"key": tokenHeader, "value": base64.StdEncoding.EncodeToString([]byte("after " + page[len(page)-1].id))}}
		links["next"] = next
	}
	return http.StatusOK, map[string]any{"totalCount": len(items), "items": items, "links": links, "attributes": map[string]any{"objectType": "Collection"}}, nil
}

func link(uri string) map[string]any {
	return map[string]any{"uri": uri, "method": "GET", "headers": []any{}}
}

func (c relation) describe() map[string]any {
	return map[string]any{
		"id": c.id, "relationshipToPartner": "reseller", "allowDelegatedAccess": true,
		"companyProfile": map[string]any{"tenantId": c.id, "domain": c.domain, "companyName": c.name, "links": map[string]any{"self": link("/customers/" + c.id + "/profiles/company")}, "attributes": map[string]any{"objectType": "CustomerCompanyProfile"}},
		"links":          map[string]any{"self": link("/customers/" + c.id)}, "attributes": map[string]any{"objectType": "Customer"},
	}
}

// customer is one of the list.
func (r *request) customer(id string) (int, map[string]any, *fault) {
	if refused := r.agent(); refused != nil {
		return 0, nil, refused
	}
	for _, c := range r.relations() {
		if strings.EqualFold(c.id, id) {
			return http.StatusOK, c.describe(), nil
		}
	}
	return 0, nil, noCustomer()
}

func noCustomer() *fault {
	return refuse(http.StatusNotFound, 404, "No customer of this partner has the id.")
}
