package graphsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// maxBatch: "Combine multiple requests in one HTTP call using JSON batching".
const maxBatch = 20

// part is one request of a batch.
type part struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

// batch answers POST /$batch. Parts run one after the other with the batch's
// own token; the answers may come in any order.
func (r *request) batch() (*answer, error) {
	if r.method != http.MethodPost {
		return nil, refuse(http.StatusMethodNotAllowed, "BadRequest", "A batch is sent with POST.")
	}
	var body struct {
		Requests []part `json:"requests"`
	}
	if err := json.Unmarshal(r.body, &body); err != nil {
		return nil, badRequest("The batch cannot be read: it is an object with the list 'requests'; ids, methods and addresses are strings.")
	}
	if len(body.Requests) == 0 || len(body.Requests) > maxBatch {
		return nil, badRequest("A batch holds 1 to %d requests.", maxBatch)
	}
	status := map[string]int{} // of the parts that have run; 0: still to come
	for i, p := range body.Requests {
		if _, twice := status[p.ID]; twice || p.ID == "" || p.Method == "" || p.URL == "" {
			return nil, badRequest("Request %d of the batch lacks id, method or url, or its id is taken.", i+1)
		}
		status[p.ID] = 0
	}
	for _, p := range body.Requests {
		for _, on := range p.DependsOn {
			if _, known := status[on]; !known || on == p.ID {
				return nil, badRequest("Request '%s' depends on '%s', which cannot be.", clip(p.ID), clip(on))
			}
		}
	}
	responses := []any{}
	for waiting := body.Requests; len(waiting) > 0; {
		var later []part
		for _, p := range waiting {
			ready, failed := true, false
			for _, on := range p.DependsOn {
				ready = ready && status[on] != 0
				failed = failed || status[on] >= 400
			}
			if !ready {
				later = append(later, p)
				continue
			}
			response := r.part(p, failed)
			status[p.ID] = response["status"].(int)
			responses = append(responses, response)
		}
		if len(later) == len(waiting) {
			return nil, badRequest("The requests of the batch depend on each other in a circle.")
		}
		waiting = later
	}
	r.server.cfg.Random.Shuffle(len(responses), func(i, j int) { responses[i], responses[j] = responses[j], responses[i] })
	return ok(map[string]any{"responses": responses}), nil
}

// part runs one request and gives its response object.
func (r *request) part(p part, dependencyFailed bool) map[string]any {
	header := http.Header{}
	for name, value := range p.Headers {
		header.Set(name, value)
	}
	ids := r.server.ids(header)
	given, err := r.run(p, header, dependencyFailed)
	if err != nil {
		given = r.server.refusal(err, ids, r.now)
	}
	headers := map[string]any{"request-id": ids.request, "client-request-id": ids.client, "OData-Version": "4.0"}
	response := map[string]any{"id": p.ID, "status": given.status, "headers": headers}
	switch {
	case given.text != "":
		headers["Content-Type"] = "text/plain"
		response["body"] = given.text
	case given.body != nil:
		headers["Content-Type"] = contentType
		if err != nil {
			headers["Content-Type"] = "application/json"
		}
		response["body"] = given.body
	}
	for name, values := range given.header {
		headers[name] = strings.Join(values, ", ")
	}
	return response
}

func (r *request) run(p part, header http.Header, dependencyFailed bool) (*answer, error) {
	if dependencyFailed {
		return nil, refuse(http.StatusFailedDependency, "FailedDependency", "A request that this one depends on has failed.")
	}
	address, err := url.Parse(p.URL)
	if err != nil || address.IsAbs() || address.Host != "" {
		return nil, badRequest("The url of a request in a batch is relative to the version: '/me'.")
	}
	raw := strings.TrimPrefix(address.EscapedPath(), "/")
	if strings.HasPrefix(strings.ToLower(raw), "$batch") {
		return nil, badRequest("A batch holds no batches.")
	}
	full, err := url.Parse("/" + r.version + "/" + raw)
	if err != nil {
		return nil, badRequest("The url of the request cannot be read.")
	}
	full.RawQuery = address.RawQuery
	body := bytes.TrimSpace(p.Body)
	if bytes.Equal(body, []byte("null")) {
		body = nil
	}
	inner := &request{
		server: r.server, method: strings.ToUpper(p.Method), root: r.root, authority: r.authority, header: header, body: body, now: r.now, address: r.address, claims: r.claims,
	}
	return r.server.route(inner, full)
}
