package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"gatehouse/internal/microsoft/graph"
)

// decoded says which of our client's structs reads which documented answers.
// The first path that is contained decides.
var decoded = []struct {
	path   string
	entity any
}{
	{"/authentication/requirements", graph.Requirements{}},
	{"/authentication/methods", graph.AuthenticationMethod{}},
	{"/userregistrationdetails", graph.RegistrationDetails{}},
	{"/auditlogs/signins", graph.SignIn{}},
	{"/identity/conditionalaccess/policies", graph.Policy{}},
	{"/identitysecuritydefaultsenforcementpolicy", graph.SecurityDefaults{}},
	{"/subscribedskus", graph.SubscribedSKU{}},
	{"/approleassign", graph.AppRoleAssignment{}},
	{"/oauth2permissiongrants", nil}, // not read by the client
	{"memberof", graph.DirectoryObject{}},
	{"/members", graph.DirectoryObject{}},
	{"/directoryroles", graph.DirectoryObject{}},
	{"/serviceprincipals", graph.ServicePrincipal{}},
	{"/applications", graph.Application{}},
	{"/organization", graph.Organization{}},
	{"/users/", graph.User{}},
	{"/users?", graph.User{}},
}

// evalDecode reads documented answers into our client's structs and compares:
// each member that the struct names and the answer has must come back with the
// same value.
func evalDecode(dir string, w io.Writer) error {
	examples, err := readGraphExamples(filepath.Join(dir, "graph-examples"))
	if err != nil {
		return err
	}
	files, members, lost := 0, 0, 0
	for _, x := range examples {
		entity := entityOf(x)
		if entity == nil {
			continue
		}
		files++
		for _, object := range objectsOf(x.Body) {
			n, problems := compareDecoded(object, reflect.TypeOf(entity))
			members += n
			for _, problem := range problems {
				lost++
				fmt.Fprintf(w, "%s: %s\n", x.file, problem)
			}
		}
	}
	fmt.Fprintf(w, "%d documented answers decoded, %d members compared, %d lost\n", files, members, lost)
	if lost > 0 || files == 0 {
		return fmt.Errorf("%w: %d members lost in %d answers", errBar, lost, files)
	}
	return nil
}

func entityOf(x graphExample) any {
	path := strings.ToLower(x.Path) + "?"
	if x.Method != "GET" || x.Status != 200 || strings.Contains(path, "/delta") || strings.Contains(path, "/group") {
		return nil
	}
	for _, d := range decoded {
		if strings.Contains(path, d.path) {
			return d.entity
		}
	}
	return nil
}

func objectsOf(body any) []map[string]any {
	object, _ := body.(map[string]any)
	list, isList := object["value"].([]any)
	if !isList {
		return []map[string]any{object}
	}
	var out []map[string]any
	for _, item := range list {
		if o, ok := item.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

// compareDecoded decodes an object into the struct type and back, and compares
// the members that both have.
func compareDecoded(object map[string]any, kind reflect.Type) (compared int, problems []string) {
	raw, err := json.Marshal(object)
	if err != nil {
		return 0, []string{err.Error()}
	}
	into := reflect.New(kind)
	if err := json.Unmarshal(raw, into.Interface()); err != nil {
		return 0, []string{"cannot be decoded: " + err.Error()}
	}
	return compareValue("", object, into.Elem())
}

func compareValue(path string, want any, got reflect.Value) (compared int, problems []string) {
	for got.Kind() == reflect.Pointer {
		if got.IsNil() {
			if want != nil {
				return 1, []string{path + ": lost"}
			}
			return 1, nil
		}
		got = got.Elem()
	}
	add := func(path string, want any, got reflect.Value) {
		n, more := compareValue(path, want, got)
		compared, problems = compared+n, append(problems, more...)
	}
	switch moment, isTime := got.Interface().(time.Time); {
	case isTime:
		text, _ := want.(string)
		parsed, err := time.Parse(time.RFC3339Nano, text)
		if want != nil && (err != nil || !parsed.Equal(moment)) {
			problems = append(problems, fmt.Sprintf("%s: %v became %v", path, want, moment))
		}
		return 1, problems
	case got.Kind() == reflect.Struct:
		members, _ := want.(map[string]any)
		for i := range got.NumField() {
			name, _, _ := strings.Cut(got.Type().Field(i).Tag.Get("json"), ",")
			if value, has := members[name]; has && name != "" && name != "-" {
				add(path+"/"+name, value, got.Field(i))
			}
		}
		return compared, problems
	case got.Kind() == reflect.Slice:
		list, _ := want.([]any)
		if len(list) != got.Len() {
			return 1, []string{fmt.Sprintf("%s: %d items became %d", path, len(list), got.Len())}
		}
		for i, item := range list {
			add(fmt.Sprintf("%s[%d]", path, i), item, got.Index(i))
		}
		return compared, problems
	}
	if want == nil {
		return 1, nil // null leaves the zero value
	}
	if number, ok := want.(float64); ok && got.CanInt() {
		want = int64(number)
		if got.Int() == want {
			return 1, nil
		}
	}
	if !reflect.DeepEqual(want, got.Interface()) {
		problems = append(problems, fmt.Sprintf("%s: %v became %v", path, want, got.Interface()))
	}
	return 1, problems
}
