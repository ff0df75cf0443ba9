package bcsim

import (
	"net/http"
	"net/url"
	"strings"
)

// service is OData V4: pages that an administrator published as web services.
// Their members are the pages' fields, not the API's.
func (r *request) service(segments []string) (*answer, error) {
	if len(segments) == 0 {
		return nil, noResource("ODataV4")
	}
	name, given, has, err := key(segments[0])
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(name, "Company") {
		return nil, refuse(http.StatusNotFound, codeCompany, "The address names no company: write Company('name') before the service.")
	}
	if !r.reads() {
		return nil, noMethod(r.http.Method, strings.Join(segments, "/"), http.MethodGet)
	}
	if !has {
		return r.serviceCompanies(segments)
	}
	c, err := r.company(func(c company) bool { return strings.EqualFold(c.name, given) || strings.EqualFold(c.id, given) })
	if err != nil {
		return nil, err
	}
	context := "Company('" + url.PathEscape(strings.ReplaceAll(c.name, "'", "''")) + "')"
	if len(segments) == 1 {
		return r.single(row{"Name": c.name, "Display_Name": c.name, "Id": c.id}, "Company/$entity")
	}
	service, number, one, err := key(segments[1])
	if err != nil {
		return nil, err
	}
	lower := strings.ToLower(service)
	if spelt[lower] == "" || len(segments) > 2 {
		return nil, noResource(segments[len(segments)-1])
	}
	if !r.opens(false) {
		return nil, forbidden("reading " + spelt[lower])
	}
	number = strings.Trim(strings.TrimPrefix(number, "No="), "'")
	var rows []row
	for _, record := range r.rows(c, lower) {
		page := pageOf(record)
		if one && page["No"] == number {
			return r.single(page, context+"/"+service+"/$entity")
		}
		rows = append(rows, page)
	}
	if one {
		return nil, noRecord(service, number)
	}
	return r.many(rows, context+"/"+service, r.base+"/"+context+"/"+service)
}

func (r *request) serviceCompanies(segments []string) (*answer, error) {
	if len(segments) > 1 {
		return nil, noResource(segments[1])
	}
	var rows []row
	if len(r.sets) > 0 {
		for _, c := range r.companies() {
			rows = append(rows, row{"Name": c.name, "Display_Name": c.name, "Id": c.id})
		}
	}
	return r.many(rows, "Company", r.base+"/Company")
}

// pageOf turns a record of the API into a row of the published page.
func pageOf(record row) row {
	page := row{"No": record["number"], etagName: record[etagName]}
	for from, to := range map[string]string{
		"displayName": "Name", "customerName": "Name", "addressLine1": "Address", "city": "City", "postalCode": "Post_Code", "country": "Country_Region_Code", "email": "E_Mail", "currencyCode": "Currency_Code",
		"balanceDue": "Balance_Due_LCY", "balance": "Balance_LCY", "inventory": "Inventory", "unitPrice": "Unit_Price", "invoiceDate": "Posting_Date", "dueDate": "Due_Date", "status": "Status",
		"totalAmountIncludingTax": "Amount_Including_VAT",
	} {
		if value, ok := record[from]; ok {
			page[to] = value
		}
	}
	return page
}
