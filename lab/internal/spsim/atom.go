package spsim

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Namespaces of Atom answers (OData 2, "Atom Format").
const (
	dataSpace     = "http://schemas.microsoft.com/ado/2007/08/dataservices"
	metadataSpace = "http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
	schemeSpace   = "http://schemas.microsoft.com/ado/2007/08/dataservices/scheme"
	spaces        = ` xmlns="http://www.w3.org/2005/Atom" xmlns:d="` + dataSpace + `" xmlns:m="` + metadataSpace + `"`
)

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
	return b.String()
}

// atomField is one property with its type, where it is not a string.
func atomField(name string, value any, attributes string) string {
	switch v := value.(type) {
	case nil:
		return fmt.Sprintf(`<d:%s%s m:null="true" />`, name, attributes)
	case int:
		attributes += ` m:type="Edm.Int32"`
	case float64:
		attributes += ` m:type="Edm.Double"`
	case bool:
		attributes += ` m:type="Edm.Boolean"`
	case []any:
		var b strings.Builder
		for _, item := range v {
			b.WriteString("<d:element>" + escape(fmt.Sprint(item)) + "</d:element>")
		}
		return fmt.Sprintf("<d:%s%s>%s</d:%s>", name, attributes, b.String(), name)
	}
	return fmt.Sprintf("<d:%s%s>%s</d:%s>", name, attributes, escape(fmt.Sprint(value)), name)
}

func (r *request) atomEntry(e *entity, outermost bool) string {
	var b strings.Builder
	b.WriteString("<entry")
	if outermost {
		b.WriteString(` xml:base="` + escape(r.url("_api/")) + `"` + spaces)
	}
	if e.etag != "" {
		b.WriteString(` m:etag="` + escape(e.etag) + `"`)
	}
	b.WriteString("><id>" + escape(r.url("_api/"+e.uri)) + `</id><category term="` + escape(e.typ) + `" scheme="` + schemeSpace + `" /><title /><updated>` + moment(r.now) +
		`</updated><author><name /></author><content type="application/xml"><m:properties>`)
	for _, name := range slices.Sorted(maps.Keys(e.fields)) {
		b.WriteString(atomField(name, e.fields[name], ""))
	}
	b.WriteString("</m:properties></content></entry>")
	return b.String()
}

func (r *request) atomFeed(c *collection, rows []*entity, next string) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><feed xml:base="` + escape(r.url("_api/")) + `"` + spaces + "><id>" + escape(r.url("_api/"+c.uri)) + "</id><title /><updated>" + moment(r.now) + "</updated>")
	for _, e := range rows {
		b.WriteString(r.atomEntry(e, false))
	}
	if next != "" {
		b.WriteString(`<link rel="next" href="` + escape(next) + `" />`)
	}
	b.WriteString("</feed>")
	return []byte(b.String())
}
