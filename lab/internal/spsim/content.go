package spsim

import (
	"crypto/sha512"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/lab/internal/directory"
)

// start is the root of the interface: what may follow /_api/.
func (r *request) start() *entity {
	root := &entity{typ: "SP.ServiceRoot", fields: map[string]any{}, steps: map[string]step{
		"web":         plain(r.web),
		"site":        plain(r.siteCollection),
		"contextinfo": plain(r.contextInfo).viaPost(),
	}}
	if r.place.kind == kindAdmin {
		root.steps["spo.tenant"] = plain(r.tenant)
		root.steps["microsoft.online.sharepoint.tenantadministration.tenant"] = plain(r.tenant)
	}
	return root
}

// moment is a point in time as SharePoint writes it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// url and relative are the addresses of a path below the request's site.
func (r *request) url(below string) string { return r.place.root() + join(r.site.path, below) }

func (r *request) relative(below string) string {
	if path := r.place.prefix + join(r.site.path, below); path != "" {
		return path
	}
	return "/"
}

func join(path, below string) string {
	if below == "" {
		return path
	}
	return path + "/" + below
}

func (r *request) siteCollection() (any, error) {
	return &entity{typ: "SP.Site", uri: "site", fields: map[string]any{
		"Id": r.site.id, "Url": r.url(""), "ServerRelativeUrl": r.relative(""), "PrimaryUri": r.url("") + "/", "ReadOnly": r.site.locked, "CompatibilityLevel": 15,
		"Classification": "", "GroupId": zeroID, "HubSiteId": zeroID, "IsHubSite": false, "ShareByEmailEnabled": false, "LockIssue": nil,
	}, steps: map[string]step{"rootweb": plain(r.web)}}, nil
}

const zeroID = "00000000-0000-0000-0000-000000000000"

func (r *request) web() (any, error) {
	return &entity{
		typ: "SP.Web", uri: "web",
		fields: map[string]any{
			"Id": r.site.webID, "Title": r.site.title, "Description": r.site.about, "Url": r.url(""), "ServerRelativeUrl": r.relative(""), "WebTemplate": r.site.template,
			"Configuration": 0, "Created": moment(r.site.created), "LastItemModifiedDate": moment(r.site.modified), "Language": 1033, "IsMultilingual": false, "NoCrawl": false, "QuickLaunchEnabled": true,
		},
		steps: map[string]step{
			"lists": {do: func(c call) (any, error) {
				if !c.has {
					return r.lists(), nil
				}
				id, err := one(c)
				if err != nil {
					return nil, err
				}
				return r.listBy(func(l *list) bool { return strings.EqualFold(l.id, id) }, id)
			}},
			"webs":                         plain(func() (any, error) { return &collection{typ: "SP.Web", uri: "web/webs"}, nil }),
			"currentuser":                  plain(r.currentUser),
			"getlist":                      by(func(at string) (any, error) { return r.listAt(at) }),
			"rootfolder":                   plain(func() (any, error) { return r.folder("") }),
			"getfolderbyserverrelativeurl": by(r.folderAt), "getfolderbyserverrelativepath": by(r.folderAt),
			"getfilebyserverrelativeurl": by(r.fileAt), "getfilebyserverrelativepath": by(r.fileAt),
		},
	}, nil
}

func (r *request) currentUser() (any, error) {
	c := r.caller.claims
	fields := map[string]any{
		"Id": 9, "PrincipalType": 1, "IsHiddenInUI": false, "IsShareByEmailGuestUser": false, "IsEmailAuthenticationGuestUser": false, "IsSiteAdmin": r.right >= rightFull,
	}
	if r.caller.app {
		// Whatever the app, SharePoint shows the same account for all.
		fields["Title"], fields["LoginName"], fields["Email"], fields["UserPrincipalName"] = "SharePoint App", "i:0i.t|"+directory.SharePointID+"|app@sharepoint", "", nil
	} else {
		fields["Title"], fields["LoginName"], fields["Email"], fields["UserPrincipalName"] = c.UPN, "i:0#.f|membership|"+strings.ToLower(c.UPN), c.UPN, c.UPN
		fields["Id"] = 10 + number(1000, c.ObjectID)
		r.server.cfg.Store.View(r.place.tenant, func(t *directory.Tenant) {
			if u := t.User(c.ObjectID); u != nil {
				fields["Title"], fields["Email"] = u.Name, u.Mail
			}
		})
	}
	return &entity{typ: "SP.User", uri: fmt.Sprintf("Web/GetUserById(%v)", fields["Id"]), fields: fields}, nil
}

// contextInfo hands out a form digest. Callers with a token need none, but
// libraries ask for it before each write.
func (r *request) contextInfo() (any, error) {
	at := r.now.Format("02 Jan 2006 15:04:05 -0000")
	digest := fmt.Sprintf("0x%X", sha512.Sum512([]byte(r.site.id+at)))
	return &entity{typ: "SP.ContextWebInformation", fields: map[string]any{
		"FormDigestTimeoutSeconds": 1800, "FormDigestValue": digest + "," + at, "LibraryVersion": build, "SiteFullUrl": r.url(""), "WebFullUrl": r.url(""),
		"SupportedSchemaVersions": []any{"14.0.0.0", "15.0.0.0"},
	}}, nil
}

func (r *request) lists() *collection {
	all := &collection{typ: "SP.List", uri: "web/lists", steps: map[string]step{
		"getbytitle": by(func(title string) (any, error) {
			return r.listBy(func(l *list) bool { return strings.EqualFold(l.title, title) }, title)
		}),
		"getbyid": by(func(id string) (any, error) {
			return r.listBy(func(l *list) bool { return strings.EqualFold(l.id, id) }, id)
		}),
	}}
	for _, l := range r.site.lists {
		all.all = append(all.all, r.list(l))
	}
	return all
}

func (r *request) listBy(match func(*list) bool, name string) (any, error) {
	if i := slices.IndexFunc(r.site.lists, match); i >= 0 {
		return r.list(r.site.lists[i]), nil
	}
	return nil, refuse(http.StatusNotFound, codeNoList, "List '%s' does not exist at site with URL '%s'.", clip(name), r.url(""))
}

func (r *request) listAt(at string) (any, error) {
	below, ok := r.below(at)
	if !ok {
		below = "\x00" // matches none
	}
	return r.listBy(func(l *list) bool { return strings.EqualFold(l.folder, below) }, at)
}

func (r *request) list(l *list) *entity {
	uri := fmt.Sprintf("Web/Lists(guid'%s')", l.id)
	base, kind, count, what := 100, 0, l.items+len(r.server.added(l.id)), strings.ReplaceAll(l.title, " ", "_x0020_")
	if l.library {
		base, kind, count = 101, 1, len(l.files)+len(l.folders())
	}
	e := &entity{
		typ: "SP.List", uri: uri, etag: fmt.Sprintf(`"%d"`, 1+count),
		fields: map[string]any{
			"Id": l.id, "Title": l.title, "Description": "", "BaseTemplate": base, "BaseType": kind, "ItemCount": count, "Hidden": false, "Created": moment(l.created), "LastItemModifiedDate": moment(l.at(count)),
			"EntityTypeName": what, "ListItemEntityTypeFullName": "SP.Data." + what + "ListItem", "ParentWebUrl": r.relative(""), "EnableVersioning": true, "NoCrawl": false,
		},
		steps: map[string]step{"rootfolder": plain(func() (any, error) { return r.folder(l.folder) })},
	}
	e.steps["items"] = step{do: func(c call) (any, error) { return r.itemsOrOne(l, c, uri) }}.viaBoth()
	return e
}

func (r *request) itemsOrOne(l *list, c call, uri string) (any, error) {
	if r.http.Method == http.MethodPost && r.last {
		if c.has {
			return nil, noMethod(r.http.Method, c.name, http.MethodGet)
		}
		return r.addItem(l, uri)
	}
	items := r.items(l, uri)
	if !c.has {
		return &collection{typ: "SP.ListItem", uri: uri + "/Items", all: items, paged: true}, nil
	}
	id, err := one(c)
	if err != nil {
		return nil, err
	}
	for _, e := range items {
		if fmt.Sprint(e.fields["Id"]) == id {
			return e, nil
		}
	}
	return nil, refuse(http.StatusNotFound, codeMissing, "Item does not exist. It may have been deleted by another user.")
}

// items are all items of a list, by id. In a library folders and files are
// items, too.
func (r *request) items(l *list, uri string) []*entity {
	var out []*entity
	add := func(title any, kind int, at time.Time, content string, unasked map[string]any) *entity {
		id := len(out) + 1
		e := &entity{
			typ: "SP.ListItem", uri: fmt.Sprintf("%s/Items(%d)", uri, id), etag: `"1"`, unasked: unasked,
			fields: map[string]any{
				"Id": id, "ID": id, "Title": title, "FileSystemObjectType": kind, "ContentTypeId": content, "Created": moment(at), "Modified": moment(at), "AuthorId": 9, "EditorId": 9,
				"GUID": directory.NameID("item", l.id, fmt.Sprint(id)), "Attachments": false,
			},
		}
		out = append(out, e)
		return e
	}
	if l.library {
		for _, name := range l.folders() {
			add(nil, 1, l.created, "0x0120", map[string]any{"FileLeafRef": name, "FileRef": r.relative(join(l.folder, name))})
		}
		for i, f := range l.files {
			add(nil, 0, l.at(i+1), "0x0101", map[string]any{"FileLeafRef": f.name, "FileRef": r.relative(join(l.folder, strings.TrimPrefix(f.folder+"/"+f.name, "/")))})
		}
		return out
	}
	for i := range l.items {
		e := add(l.nameOfItem(i+1), 0, l.at(i+1), "0x01", nil)
		if l.title == "Invoices" {
			e.fields["Amount"] = float64(100+number(900_000, l.id, fmt.Sprint(i))) / 100
			e.fields["Status"] = []string{"Open", "Paid", "Paid", "Overdue"}[number(4, l.id, "status", fmt.Sprint(i))]
		}
	}
	for _, made := range r.server.added(l.id) {
		add(made.title, 0, made.at, "0x01", nil)
	}
	return out
}

// made is an entity that did not exist before: 201.
type made struct{ *entity }

func (r *request) addItem(l *list, uri string) (any, error) {
	if r.right < rightWrite {
		return nil, denied("The caller may read here and not write.")
	}
	if l.library {
		return nil, refuse(http.StatusBadRequest, codeArgument, "To add an item to a document library, upload a file.")
	}
	members, err := r.decode()
	if err != nil {
		return nil, err
	}
	var title string
	for name, value := range members {
		switch name {
		case "__metadata", "odata.type", "@odata.type":
		case "Title":
			text, ok := value.(string)
			if !ok || len([]rune(text)) > 255 {
				return nil, refuse(http.StatusBadRequest, codeClient, "Title is a text of 255 characters at most.")
			}
			title = text
		default:
			return nil, badQuery("The property '%s' does not exist on the list's items, or is not written here.", clip(name))
		}
	}
	// A query that cannot be answered must not leave an item behind.
	o, err := r.options()
	if err == nil {
		err = r.items(l, uri)[0].choose(o.choose)
	}
	if err != nil {
		return nil, err
	}
	n, ok := r.server.add(l.id, title, r.now)
	if !ok {
		return nil, refuse(http.StatusInsufficientStorage, codeClient, "The lab keeps %d new items and no more.", maxCreated)
	}
	return made{r.items(l, uri)[l.items+n]}, nil
}
