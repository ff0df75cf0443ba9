package bcsim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// Environments of every tenant that has the product.
const (
	production = "Production"
	sandbox    = "Sandbox"
	active     = "Active"
)

// passing are states that end by themselves.
var passing = []string{"NotReady", "Preparing", "Upgrading", "Recovering"}

// tenant is what the server needs to know of a tenant.
type tenant struct {
	id, name, initial, country string
	created                    time.Time
	has                        bool // the product
}

// environment is one of a tenant's environments.
type environment struct{ name, kind, status string }

// company is one company of an environment.
type company struct {
	id, name string
	created  time.Time
}

// row is a record of a company: members by the API's names.
type row map[string]any

// number derives a number below n from names.
func number(n uint64, names ...string) int {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return int(binary.BigEndian.Uint64(sum[:8]) % n)
}

func (r *request) findTenant() tenant {
	var out tenant
	r.server.cfg.Store.View(r.claims.TenantID, func(t *directory.Tenant) {
		out = tenant{id: t.ID, name: t.Name, initial: t.Initial(), country: "GB", created: t.Created, has: t.Principal(directory.BusinessCentralID) != nil}
	})
	return out
}

// allEnvironments of the token's tenant; none without the product.
func (r *request) allEnvironments() []environment {
	if !r.tenant.has {
		return nil
	}
	status := func(name string) string { return r.server.status(at(r.tenant.id, name, "")) }
	return []environment{{production, "Production", status(production)}, {sandbox, "Sandbox", status(sandbox)}}
}

func (r *request) findEnvironment(name string) (environment, bool) {
	all := r.allEnvironments()
	i := slices.IndexFunc(all, func(e environment) bool { return strings.EqualFold(e.name, name) })
	if i < 0 {
		return environment{}, false
	}
	return all[i], true
}

// companies of an environment. A company's name has 30 characters at most.
func (r *request) companies() []company {
	name := []rune(r.tenant.name)
	short := strings.TrimSpace(string(name[:min(len(name), 20)]))
	names := []string{short, short + " Holding"}
	if r.environment.name == sandbox {
		names = []string{short + " Test"}
	}
	out := make([]company, len(names))
	for i, n := range names {
		out[i] = company{directory.NameID(r.tenant.id, "company", r.environment.name, n), n, r.tenant.created}
	}
	return out
}

// etag is the version of a record as a weak tag.
func etag(id any, version int) string {
	return `W/"` + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "20;%v;%d;", id, version)) + `"`
}

var (
	towns = [][2]string{{"Leeds", "LS1 4AP"}, {"Bristol", "BS1 5TR"}, {"York", "YO1 7HH"}, {"Cardiff", "CF10 1EP"}, {"Dundee", "DD1 4BG"}}
	trade = []string{"Bakery", "Boatyard", "Bookshop", "Brewery", "Foundry", "Joinery", "Nursery", "Pottery", "Printworks", "Tannery"}
	first = []string{"Alder", "Birch", "Cedar", "Elder", "Hazel", "Larch", "Maple", "Rowan", "Willow"}
)

// party is a customer or vendor as derived.
func party(c company, kind, prefix string, n int) row {
	seed := fmt.Sprint(n)
	town := towns[number(uint64(len(towns)), c.id, kind, seed, "town")]
	name := first[n%len(first)] + " " + trade[(n/len(first))%len(trade)]
	id := directory.NameID(c.id, kind, seed)
	return row{
		"id": id, "number": fmt.Sprintf("%s%05d", prefix, 10*(n+1)), "displayName": name, "addressLine1": fmt.Sprintf("%d Quay Street", n+1), "addressLine2": "", "city": town[0], "state": "",
		"country": "GB", "postalCode": town[1], "phoneNumber": "", "email": strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@example.com", "website": "", "taxRegistrationNumber": "",
		"currencyCode": "GBP", "blocked": "_x0020_", "lastModifiedDateTime": moment(c.created.Add(time.Duration(n) * time.Hour)), etagName: etag(id, 1),
	}
}

const etagName = "@odata.etag"

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// How many records each company has.
const (
	customerCount = 57
	vendorCount   = 33
	itemCount     = 41
	invoiceCount  = 64
)

func derivedCustomers(c company) []row {
	out := make([]row, customerCount)
	for i := range out {
		out[i] = party(c, "customer", "C", i)
		out[i]["type"] = "Company"
		out[i]["creditLimit"] = float64(1000 * number(20, c.id, "limit", fmt.Sprint(i)))
		out[i]["balanceDue"] = 0.0
		if i%3 == 0 {
			out[i]["balanceDue"] = float64(100+number(500_000, c.id, "balance", fmt.Sprint(i))) / 100
		}
	}
	return out
}

func vendors(c company) []row {
	out := make([]row, vendorCount)
	for i := range out {
		out[i] = party(c, "vendor", "V", i)
		out[i]["balance"] = float64(number(500_000, c.id, "owed", fmt.Sprint(i))) / 100
	}
	return out
}

func items(c company) []row {
	out := make([]row, itemCount)
	for i := range out {
		id := directory.NameID(c.id, "item", fmt.Sprint(i))
		out[i] = row{
			"id": id, "number": fmt.Sprint(1000 + i), "displayName": first[i%len(first)] + " board " + fmt.Sprint(10*(i+1)), "type": "Inventory", "itemCategoryCode": "WOOD", "blocked": false, "gtin": "",
			"inventory": float64(number(400, c.id, "stock", fmt.Sprint(i))), "unitPrice": float64(100+number(90_000, c.id, "price", fmt.Sprint(i))) / 100, "unitCost": 1.0, "baseUnitOfMeasureCode": "PCS",
			"lastModifiedDateTime": moment(c.created.Add(time.Duration(i) * time.Hour)), etagName: etag(id, 1),
		}
	}
	return out
}

func invoices(c company) []row {
	out := make([]row, invoiceCount)
	for i := range out {
		id, date := directory.NameID(c.id, "invoice", fmt.Sprint(i)), c.created.AddDate(0, 0, 9*i)
		buyer := party(c, "customer", "C", i%customerCount)
		net := float64(1000+number(900_000, c.id, "net", fmt.Sprint(i))) / 100
		out[i] = row{
			"id": id, "number": fmt.Sprintf("S-INV%06d", 103001+i), "invoiceDate": date.Format(time.DateOnly), "dueDate": date.AddDate(0, 1, 0).Format(time.DateOnly), "customerId": buyer["id"],
			"customerNumber": buyer["number"], "customerName": buyer["displayName"], "currencyCode": "GBP", "totalAmountExcludingTax": net, "totalAmountIncludingTax": float64(int(net*120+0.5)) / 100,
			"status": []string{"Open", "Paid", "Paid", "Draft"}[i%4], "lastModifiedDateTime": moment(date), etagName: etag(id, 1),
		}
	}
	return out
}
