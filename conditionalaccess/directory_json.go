package conditionalaccess

import (
	"errors"
	"fmt"
)

// ReadDirectory reads a directory from JSON:
//
//	{"users":[{"id":"…","groups":["…"],"roles":["…"]}],
//	 "groups":[{"id":"…","members":["…"]}]}
//
// Members are ids of users and of groups; roles are template ids of active,
// tenant-wide assignments of built-in roles.
func ReadDirectory(data []byte) (*Directory, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("the directory is larger than %d MB", maxFile>>20)
	}
	data, err := toUTF8(data)
	if err != nil {
		return nil, err
	}
	s := scanner{data: data}
	n, err := s.node()
	if err == nil && !s.end() {
		err = s.fail("something behind the object")
	}
	var syntax *syntaxError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("line %d: not JSON: %s", line(data, syntax.pos), syntax.reason)
	}
	if n.kind != '{' || n.get("users").null() && n.get("groups").null() {
		return nil, errors.New(`no directory: expected an object with the lists "users" and "groups"`)
	}
	var wrong error
	d := decoder{wrong: func(at *node, reason string) {
		if wrong == nil {
			wrong = fmt.Errorf("line %d: %s", line(data, at.start), reason)
		}
	}}
	var out Directory
	each := func(name string, use func(item *node, id string)) {
		list := n.get(name)
		if list.kind != '[' && !list.null() {
			d.wrong(list, name+" is no list")
			return
		}
		for i := range list.items {
			item := &list.items[i]
			if id := item.get("id").string(); id != "" {
				use(item, id)
			} else {
				d.wrong(item, name+" holds an element without id")
			}
		}
	}
	each("users", func(item *node, id string) {
		u := DirectoryUser{ID: id}
		u.Groups, _ = d.strings(item.get("groups"), "users.groups")
		u.Roles, _ = d.strings(item.get("roles"), "users.roles")
		out.Users = append(out.Users, u)
	})
	each("groups", func(item *node, id string) {
		g := DirectoryGroup{ID: id}
		g.Members, _ = d.strings(item.get("members"), "groups.members")
		out.Groups = append(out.Groups, g)
	})
	return &out, wrong
}
