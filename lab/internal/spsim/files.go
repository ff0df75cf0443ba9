package spsim

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/lab/internal/directory"
)

// below gives what a server-relative address names below the request's site.
// An address without leading slash is taken to be below the site already.
func (r *request) below(at string) (string, bool) {
	if !strings.HasPrefix(at, "/") {
		return strings.Trim(at, "/"), true
	}
	for _, base := range []string{r.place.prefix + r.site.path, r.site.path} {
		if len(at) >= len(base) && strings.EqualFold(at[:len(base)], base) && (len(at) == len(base) || at[len(base)] == '/') {
			return strings.Trim(at[len(base):], "/"), true
		}
	}
	return "", false
}

func (r *request) folderAt(at string) (any, error) {
	if below, ok := r.below(at); ok {
		return r.folder(below)
	}
	return nil, noFile(at)
}

func noFile(at string) *fault {
	return refuse(http.StatusNotFound, codeNoFile, "File Not Found: '%s'.", clip(at))
}

// folder gives a folder below the site: the root, a library's or a list's
// folder, or one within a library.
func (r *request) folder(below string) (any, error) {
	if below == "" {
		var inside []*entity
		for _, l := range r.site.lists {
			if l.library {
				inside = append(inside, r.folderEntity(l.folder, len(l.files), nil, nil))
			}
		}
		return r.folderEntity("", len(inside), inside, nil), nil
	}
	for _, l := range r.site.lists {
		if strings.EqualFold(l.folder, below) {
			var folders []*entity
			for _, name := range l.folders() {
				folders = append(folders, r.folderEntity(join(l.folder, name), len(r.files(l, name)), nil, nil))
			}
			return r.folderEntity(l.folder, len(l.files), folders, r.files(l, "")), nil
		}
		for _, name := range l.folders() {
			if path := join(l.folder, name); strings.EqualFold(path, below) {
				return r.folderEntity(path, len(r.files(l, name)), nil, r.files(l, name)), nil
			}
		}
	}
	return nil, noFile(below)
}

func (r *request) folderEntity(below string, count int, folders, files []*entity) *entity {
	uri := fmt.Sprintf("Web/GetFolderByServerRelativePath(decodedurl='%s')", strings.ReplaceAll(r.relative(below), "'", "''"))
	return &entity{
		typ: "SP.Folder", uri: uri,
		fields: map[string]any{
			"Exists": true, "Name": below[strings.LastIndexByte(below, '/')+1:], "ServerRelativeUrl": r.relative(below), "ItemCount": count, "UniqueId": directory.NameID("folder", r.site.id, strings.ToLower(below)),
			"TimeCreated": moment(r.site.created), "TimeLastModified": moment(r.site.modified), "IsWOPIEnabled": false, "WelcomePage": "", "ProgID": nil,
		},
		steps: map[string]step{
			"files":   plain(func() (any, error) { return &collection{typ: "SP.File", uri: uri + "/Files", all: files}, nil }),
			"folders": plain(func() (any, error) { return &collection{typ: "SP.Folder", uri: uri + "/Folders", all: folders}, nil }),
		},
	}
}

// files are those directly in a folder of a library.
func (r *request) files(l *list, folder string) []*entity {
	var out []*entity
	for i, f := range l.files {
		if f.folder == folder {
			out = append(out, r.file(l, i))
		}
	}
	return out
}

func (r *request) file(l *list, i int) *entity {
	f := l.files[i]
	path := r.relative(join(l.folder, strings.TrimPrefix(f.folder+"/"+f.name, "/")))
	id := directory.NameID("file", r.site.id, strings.ToLower(f.folder+"/"+f.name))
	etag := fmt.Sprintf(`"{%s},1"`, strings.ToUpper(id))
	return &entity{
		typ: "SP.File", uri: fmt.Sprintf("Web/GetFileByServerRelativePath(decodedurl='%s')", strings.ReplaceAll(path, "'", "''")), etag: etag,
		fields: map[string]any{
			"Exists": true, "Name": f.name, "ServerRelativeUrl": path, "UniqueId": id, "ETag": etag, "Length": fmt.Sprint(len(f.content)), "Level": 1, "MajorVersion": 1, "MinorVersion": 0, "UIVersionLabel": "1.0",
			"CheckOutType": 2, "CheckInComment": "", "TimeCreated": moment(l.at(i + 1)), "TimeLastModified": moment(l.at(i + 1)), "Title": nil,
		},
		steps: map[string]step{"$value": plain(func() (any, error) { return stream{f.content, f.name}, nil })},
	}
}

func (r *request) fileAt(at string) (any, error) {
	below, ok := r.below(at)
	for _, l := range r.site.lists {
		for i, f := range l.files {
			if ok && strings.EqualFold(join(l.folder, strings.TrimPrefix(f.folder+"/"+f.name, "/")), below) {
				return r.file(l, i), nil
			}
		}
	}
	return nil, noFile(at)
}
