package api

import (
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"gatehouse/client"
)

// unstorable names the texts of a request that no database takes: with a null
// sign, or bytes that are no UTF-8. The name is as Huma gives it for other
// faults.
func unstorable(v reflect.Value, name string) (faults []client.Fault) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return unstorable(v.Elem(), name)
		}
	case reflect.String:
		if strings.Contains(v.String(), "\x00") || !utf8.ValidString(v.String()) {
			return []client.Fault{{Field: name, Problem: "holds a null sign or bytes that are no UTF-8", Way: "remove them"}}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return nil // a body that its feature reads
		}
		for i := range v.Len() {
			faults = append(faults, unstorable(v.Index(i), fmt.Sprintf("%s[%d]", name, i))...)
		}
	case reflect.Map:
		for key, value := range v.Seq2() {
			faults = append(faults, unstorable(key, name)...)
			faults = append(faults, unstorable(value, name)...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() || f.Anonymous {
				faults = append(faults, unstorable(v.Field(i), member(name, f))...)
			}
		}
	}
	return faults
}

// member is the name of a struct's field in a request.
func member(parent string, f reflect.StructField) string {
	for _, where := range []string{"path", "query", "header"} {
		if tag, ok := f.Tag.Lookup(where); ok {
			tag, _, _ = strings.Cut(tag, ",")
			return where + "." + tag
		}
	}
	tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch {
	case tag == "": // embedded, or the body
		return parent
	case parent == "":
		return tag
	}
	return parent + "." + tag
}
