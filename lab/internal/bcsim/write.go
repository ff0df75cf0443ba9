package bcsim

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"gatehouse/lab/internal/directory"
)

// customer is a record that callers may change.
type customer struct {
	row     row
	version int
}

// maxCustomers is how many customers a company may have.
const maxCustomers = 2000

// customers of a company, by number.
func (s *Server) customers(c company) []row {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.kept(c)
	out := make([]row, len(kept))
	for i := range kept {
		out[i] = kept[i].row
	}
	return out
}

// kept are the customers as they are now. The caller holds the lock; rows are
// never changed in place.
func (s *Server) kept(c company) []customer {
	if all, ok := s.state.customers[c.id]; ok {
		return all
	}
	var out []customer
	for _, derived := range derivedCustomers(c) {
		out = append(out, customer{derived, 1})
	}
	return out
}

// limits of the members of a customer that can be set, in characters.
var limits = map[string]int{
	"number": 20, "displayName": 100, "type": 20, "addressLine1": 100, "addressLine2": 50, "city": 30, "state": 30, "country": 10, "postalCode": 20, "phoneNumber": 30, "email": 80, "website": 80,
	"taxRegistrationNumber": 20, "currencyCode": 10, "blocked": 20,
}

// change serves POST, PATCH and DELETE.
func (r *request) change(c company, set, id string, one bool, within string) (*answer, error) {
	allowed := map[bool][]string{false: {http.MethodPost}, true: {http.MethodPatch, http.MethodDelete}}[one]
	if set != "customers" || !slices.Contains(allowed, r.http.Method) {
		reads := []string{http.MethodGet}
		if set == "customers" {
			reads = append(reads, allowed...)
		}
		return nil, noMethod(r.http.Method, spelt[set], strings.Join(reads, ", "))
	}
	if !r.opens(true) {
		return nil, forbidden("changing " + spelt[set])
	}
	var members map[string]any
	if r.http.Method != http.MethodDelete {
		var err error
		if members, err = r.decode(); err == nil {
			err = checkCustomer(members)
		}
		if err != nil {
			return nil, err
		}
	}
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	all := slices.Clone(r.server.kept(c))
	if r.http.Method == http.MethodPost {
		return r.create(c, all, members, within)
	}
	i := slices.IndexFunc(all, func(k customer) bool { return strings.EqualFold(k.row["id"].(string), id) })
	if i < 0 {
		return nil, noRecord("customers", id)
	}
	if err := r.match(all[i]); err != nil {
		return nil, err
	}
	if r.http.Method == http.MethodDelete {
		if owed, _ := all[i].row["balanceDue"].(float64); owed != 0 {
			return nil, refuse(http.StatusBadRequest, codeDialog, "The customer %v has open entries and cannot be deleted.", all[i].row["number"])
		}
		r.server.state.customers[c.id] = slices.Delete(all, i, i+1)
		return &answer{status: http.StatusNoContent}, nil
	}
	if n, given := members["number"]; given && slices.ContainsFunc(all, func(k customer) bool { return k.row["number"] == n && k.row["id"] != all[i].row["id"] }) {
		return nil, sameNumber(n)
	}
	changed := customer{maps.Clone(all[i].row), all[i].version + 1}
	maps.Copy(changed.row, members)
	r.stamp(&changed)
	all[i] = changed
	return r.store(c, all, changed, within)
}

func sorted(all []customer) []customer {
	slices.SortFunc(all, func(a, b customer) int { return cmp.Compare(a.row["number"].(string), b.row["number"].(string)) })
	return all
}

// store keeps the customers and answers the changed one, unless the query
// asks for an answer that cannot be given: then nothing changes.
func (r *request) store(c company, all []customer, changed customer, within string) (*answer, error) {
	answer, err := r.single(changed.row, within+"customers/$entity")
	if err == nil {
		r.server.state.customers[c.id] = sorted(all)
	}
	return answer, err
}

func (r *request) stamp(c *customer) {
	c.row["lastModifiedDateTime"], c.row[etagName] = moment(r.now), etag(c.row["id"], c.version)
}

func sameNumber(n any) *fault {
	return refuse(http.StatusBadRequest, codeSameKey, "There is a customer %v already.", n)
}

// create adds a customer. A number that is not given is the next free one.
func (r *request) create(c company, all []customer, members map[string]any, within string) (*answer, error) {
	if name, _ := members["displayName"].(string); strings.TrimSpace(name) == "" {
		return nil, refuse(http.StatusBadRequest, codeField, "displayName must have a value.")
	}
	if len(all) >= maxCustomers {
		return nil, refuse(http.StatusBadRequest, codeDialog, "The lab keeps %d customers of a company and no more.", maxCustomers)
	}
	given, _ := members["number"].(string)
	taken := func(n string) bool {
		return slices.ContainsFunc(all, func(k customer) bool { return k.row["number"] == n })
	}
	if given != "" && taken(given) {
		return nil, sameNumber(given)
	}
	for n := len(all); given == ""; n++ {
		if candidate := fmt.Sprintf("C%05d", 10*(n+1)); !taken(candidate) {
			given = candidate
		}
	}
	made := customer{party(c, "customer", "C", 0), 1}
	for _, name := range []string{"addressLine1", "city", "postalCode", "email", "country"} {
		made.row[name] = ""
	}
	made.row["type"], made.row["creditLimit"], made.row["balanceDue"] = "Company", 0.0, 0.0
	maps.Copy(made.row, members)
	made.row["number"], made.row["id"] = given, directory.NameID(c.id, "customer", given, fmt.Sprint(r.server.counter.Add(1)))
	r.stamp(&made)
	answer, err := r.store(c, append(all, made), made, within)
	if err != nil {
		return nil, err
	}
	answer.status = http.StatusCreated
	answer.header = http.Header{"Location": {fmt.Sprintf("%s/%scustomers(%v)", r.base, within, made.row["id"])}}
	return answer, nil
}

// match holds If-Match against the record: without it a change is not taken.
func (r *request) match(c customer) error {
	given := strings.TrimSpace(r.http.Header.Get("If-Match"))
	switch {
	case given == "":
		return refuse(http.StatusPreconditionFailed, codeToken, "A change needs the record's @odata.etag as If-Match.")
	case given == "*" || given == c.row[etagName]:
		return nil
	case !strings.HasPrefix(given, `W/"`) || !strings.HasSuffix(given, `"`):
		return refuse(http.StatusBadRequest, codeToken, "The client concurrency token in If-Match cannot be read.")
	}
	return refuse(http.StatusConflict, codeChanged, "Somebody else has changed the record meanwhile; read it again.")
}

// checkCustomer holds what was sent against the members of a customer.
func checkCustomer(members map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		switch name {
		case "id", "balanceDue", "lastModifiedDateTime", etagName:
			return refuse(http.StatusBadRequest, codeReadOnly, "The member '%s' is read-only.", name)
		case "creditLimit":
			if n, ok := value.(float64); !ok || n < 0 {
				return refuse(http.StatusBadRequest, codeBadRequest, "creditLimit is a number from 0.")
			}
			continue
		}
		limit, known := limits[name]
		if !known {
			return refuse(http.StatusBadRequest, codeBadRequest, "The type 'customer' has no member '%s'.", clip(name))
		}
		text, isText := value.(string)
		switch {
		case !isText:
			return refuse(http.StatusBadRequest, codeBadRequest, "The member '%s' is a text.", name)
		case len([]rune(text)) > limit:
			return refuse(http.StatusBadRequest, codeTooLong, "The length of '%s' is %d, but must be %d at most.", name, len([]rune(text)), limit)
		case name == "type" && text != "Company" && text != "Person":
			return refuse(http.StatusBadRequest, codeBadRequest, "type is Company or Person.")
		case (name == "displayName" || name == "number") && strings.TrimSpace(text) == "":
			return refuse(http.StatusBadRequest, codeField, "%s must have a value.", name)
		}
	}
	return nil
}
