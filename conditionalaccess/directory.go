package conditionalaccess

import "strings"

// compiledDirectory gives, for groups and users, the groups that policies name
// among all that they belong to.
type compiledDirectory struct {
	groups map[string]bitset // lower-case id
	users  map[string]*compiledUser
}

type compiledUser struct{ groups, roles bitset }

// compileDirectory resolves nesting once. Circles are fine: every group is
// visited once for each named group above it.
func (c *Compiled) compileDirectory(d *Directory) *compiledDirectory {
	if d == nil {
		return nil
	}
	out := &compiledDirectory{groups: map[string]bitset{}, users: map[string]*compiledUser{}}
	groupWords, roleWords := wordCount(len(c.groups)), wordCount(len(c.roles))
	user := func(name string) *compiledUser {
		name = strings.ToLower(name)
		u := out.users[name]
		if u == nil {
			u = &compiledUser{make(bitset, groupWords), make(bitset, roleWords)}
			out.users[name] = u
		}
		return u
	}
	members := map[string][]string{}
	for _, g := range d.Groups {
		key := strings.ToLower(g.ID)
		for _, m := range g.Members {
			members[key] = append(members[key], strings.ToLower(m))
		}
		out.groups[key] = make(bitset, groupWords)
	}
	for i := range d.Users {
		u := &d.Users[i]
		key := strings.ToLower(u.ID)
		to := user(key)
		for _, g := range u.Groups {
			g = strings.ToLower(g)
			members[g] = append(members[g], key)
			if out.groups[g] == nil {
				out.groups[g] = make(bitset, groupWords)
			}
		}
		for _, r := range u.Roles {
			if i, ok := fold(c.roles, r); ok {
				to.roles.add(int(i))
			}
		}
	}
	for name, i := range c.groups {
		if out.groups[name] == nil {
			continue
		}
		seen := map[string]bool{name: true}
		for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			if g := out.groups[at]; g != nil {
				g.add(int(i))
			}
			if u := out.users[at]; u != nil {
				u.groups.add(int(i))
			}
			for _, m := range members[at] {
				if !seen[m] {
					seen[m] = true
					queue = append(queue, m)
				}
			}
		}
	}
	return out
}
