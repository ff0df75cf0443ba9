package spsim

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// site is a site collection with its one web. It is derived from the tenant,
// the same at every look.
type site struct {
	kind              string // of the host
	path              string // below the host: "" or "/sites/finance"
	key               string // as grants name it
	id, webID         string
	title, about      string
	template          string
	created, modified time.Time
	department        string // only its people get in; "" everybody
	members           right  // of those who get in
	locked            bool   // read only
	owner             string // user id: a person's own storage
	lists             []*list
}

// list is a list (items with a title) or a document library (files).
type list struct {
	id, title string
	folder    string // below the site: "Lists/Invoices", "Shared Documents"
	library   bool
	items     int // of a list
	itemTitle string
	files     []file // of a library
	created   time.Time
}

// file is a file of a library.
type file struct {
	folder, name string // folder "" is the library itself
	content      string
}

// number derives a number below n from names.
func number(n uint64, names ...string) int {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00")))
	return int(binary.BigEndian.Uint64(sum[:8]) % n)
}

// sitesOf gives the sites of one of the tenant's hosts.
func sitesOf(t *directory.Tenant, kind string) []*site {
	fresh := func(path, title, about, template string) *site {
		return &site{
			kind: kind, path: path, key: siteKey(path), id: directory.NameID(t.ID, "site", kind, path), webID: directory.NameID(t.ID, "web", kind, path), title: title, about: about,
			template: template, members: rightWrite, created: t.Created, modified: t.Created.AddDate(0, 1+number(24, t.ID, path), number(27, t.ID, kind, path)),
		}
	}
	switch kind {
	case kindAdmin:
		s := fresh("", "SharePoint admin centre", "", "TENANTADMIN")
		s.key, s.members = "admin:/", rightNone
		return []*site{s}
	case kindMy:
		root := fresh("", "OneDrive of "+t.Name, "", "SPSMSITEHOST")
		root.key, root.members = "my:/", rightRead
		sites := []*site{root}
		for _, u := range t.Users {
			if u.Type != directory.Member || len(u.Licences) == 0 {
				continue
			}
			s := fresh("/personal/"+personal(u.UPN), u.Name, "Own files of "+u.Name, "SPSPERS")
			s.key, s.owner, s.title = "my:"+s.key, u.ID, u.Name
			s.lists = []*list{s.library(t, "Documents", []file{{"", "Welcome.txt", "Welcome, " + u.Name + "."}})}
			sites = append(sites, s)
		}
		return sites
	}
	root := fresh("", t.Name, "Front page of "+t.Name, "SITEPAGEPUBLISHING")
	root.lists = []*list{
		root.library(t, "Shared Documents", []file{{"", "Welcome.txt", "Welcome to " + t.Name + "."}, {"", "House rules.docx", "Knock before you enter."}}),
		root.list(t, "Announcements", "Announcement", 5),
	}
	finance := fresh("/sites/finance", "Finance", "Books of "+t.Name, "STS")
	finance.department = "Finance"
	finance.lists = []*list{
		finance.library(t, "Shared Documents", []file{
			{"", "Budget 2026.xlsx", "Income, Expense\n"}, {"", "O'Neil & Sons offer.pdf", "An offer."}, {"Reports", "Quarter 1.txt", "First quarter."}, {"Reports", "Quarter 2.txt", "Second quarter."},
		}),
		finance.list(t, "Invoices", "Invoice", 230), finance.list(t, "Suppliers", "Supplier", 12),
	}
	projects := fresh("/sites/projects", "Projects", "Work in progress", "GROUP")
	projects.lists = []*list{
		projects.library(t, "Shared Documents", []file{{"", "Plan.docx", "First things first."}, {"", "Minutes.docx", "Nobody objected."}, {"Drawings", "Floor.svg", "<svg/>"}}),
		projects.list(t, "Tasks", "Task", 30), projects.list(t, "Risks", "Risk", 6),
	}
	archive := fresh("/sites/archive", "Archive", "What nobody changes any more", "STS")
	archive.members, archive.locked = rightRead, true
	archive.lists = []*list{
		archive.library(t, "Shared Documents", []file{{"", "1999.txt", "Long ago."}}),
		archive.list(t, "Retention log", "Entry", 120),
	}
	return []*site{root, finance, projects, archive}
}

// personal is the name of a person's own site: the user name with everything
// but letters and digits replaced.
func personal(upn string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, strings.ToLower(upn))
}

func (s *site) library(t *directory.Tenant, folder string, files []file) *list {
	return &list{id: directory.NameID(t.ID, "list", s.kind, s.path, folder), title: "Documents", folder: folder, library: true, files: files, created: s.created}
}

// list has somewhat more items than least, by the tenant.
func (s *site) list(t *directory.Tenant, title, itemTitle string, least int) *list {
	return &list{
		id: directory.NameID(t.ID, "list", s.kind, s.path, title), title: title, folder: "Lists/" + title, itemTitle: itemTitle,
		items: least + number(20, t.ID, s.path, title), created: s.created,
	}
}

// at is when the nth item was made: one every six hours.
func (l *list) at(n int) time.Time { return l.created.Add(time.Duration(n) * 6 * time.Hour) }

// nameOfItem is an item's title.
func (l *list) nameOfItem(n int) string { return fmt.Sprintf("%s %04d", l.itemTitle, n) }

// folders of a library, in the order of its files.
func (l *list) folders() []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, f := range l.files {
		if !seen[f.folder] {
			seen[f.folder] = true
			out = append(out, f.folder)
		}
	}
	return out
}

// findSite gives the site at a path of the request's host, nil if there is none.
func (r *request) findSite(path string) *site {
	var found *site
	r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) {
		for _, s := range sitesAt(t, r.place.kind, r.place.geo) {
			if strings.EqualFold(s.path, strings.TrimRight(path, "/")) {
				found = s
			}
		}
	})
	return found
}

// sitesAt gives the sites of one host in one location: a satellite has its root
// sites alone.
func sitesAt(t *directory.Tenant, kind, geo string) []*site {
	all := sitesOf(t, kind)
	if geo == "" {
		return all
	}
	root := all[0]
	root.key, root.id, root.webID = geo+":"+root.key, directory.NameID(t.ID, "site", kind, geo), directory.NameID(t.ID, "web", kind, geo)
	root.title += " (" + geo + ")"
	return all[:1]
}

// allSites are the sites of the main host of the request's location, followed by people's own
// if personal asks for them.
func (r *request) allSites(own bool) (sites []*site) {
	r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) {
		sites = sitesAt(t, kindSite, r.place.geo)
		if own && r.place.geo == "" {
			for _, s := range sitesOf(t, kindMy) {
				if s.owner != "" {
					sites = append(sites, s)
				}
			}
		}
	})
	return sites
}
