package federation

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestCanonical: exclusive canonical form, by the rules of the recommendation
// (Exclusive XML Canonicalization 1.0 §3, Canonical XML 1.0 §2).
func TestCanonical(t *testing.T) {
	for name, test := range map[string]struct{ in, path, out string }{
		"namespaces that nobody uses go":    {`<a:r xmlns:a="u:a" xmlns:b="u:b"><a:c/></a:r>`, "", `<a:r xmlns:a="u:a"><a:c></a:c></a:r>`},
		"used ones come with their user":    {`<a:r xmlns:a="u:a" xmlns:b="u:b"><b:c/><b:d/></a:r>`, "", `<a:r xmlns:a="u:a"><b:c xmlns:b="u:b"></b:c><b:d xmlns:b="u:b"></b:d></a:r>`},
		"of ancestors outside, too":         {`<a:r xmlns:a="u:a" xmlns:b="u:b"><b:c a:k="v"><b:d/></b:c></a:r>`, "c", `<b:c xmlns:a="u:a" xmlns:b="u:b" a:k="v"><b:d></b:d></b:c>`},
		"declared again where it changes":   {`<a xmlns="u:1"><b xmlns="u:2"><c xmlns="u:2"/></b><d/></a>`, "", `<a xmlns="u:1"><b xmlns="u:2"><c></c></b><d></d></a>`},
		"no namespace is declared, too":     {`<a xmlns="u:1"><b xmlns=""/></a>`, "", `<a xmlns="u:1"><b xmlns=""></b></a>`},
		"attributes sorted":                 {`<a xmlns:z="u:1" xmlns:y="u:2" z:k="1" y:k="2" b="3" a="4"/>`, "", `<a xmlns:y="u:2" xmlns:z="u:1" a="4" b="3" z:k="1" y:k="2"></a>`},
		"text and attributes in one way":    {"<a k='&quot;&lt;&#9;'>&gt;&#13;<![CDATA[<&]]></a>", "", `<a k="&quot;&lt;&#x9;">&gt;&#xD;&lt;&amp;</a>`},
		"comments and instructions go":      {`<?xml version="1.0"?><!-- x --><a>1<!-- y -->2</a>`, "", `<a>12</a>`},
		"xml:lang needs no declaration":     {`<a xml:lang="en"/>`, "", `<a xml:lang="en"></a>`},
		"a prefix may stand for another":    {`<p:a xmlns:p="u:1"><p:b xmlns:p="u:2"/><p:c/></p:a>`, "", `<p:a xmlns:p="u:1"><p:b xmlns:p="u:2"></p:b><p:c></p:c></p:a>`},
		"line ends are one character":       {"<a>1\r\n2</a>", "", "<a>1\n2</a>"},
		"two prefixes, the second stays on": {`<a:r xmlns:a="u:a"><a:c xmlns:a="u:x" xmlns:b="u:b" b:k=""><b:d/></a:c></a:r>`, "", `<a:r xmlns:a="u:a"><a:c xmlns:a="u:x" xmlns:b="u:b" b:k=""><b:d></b:d></a:c></a:r>`},
	} {
		root, err := parse([]byte(test.in))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if test.path != "" {
			root = root.find(test.path)
		}
		if got := root.canonical(nil); got != test.out {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, test.out)
		}
	}
}

// TestHostileXML: documents that are refused unread.
func TestHostileXML(t *testing.T) {
	for name, document := range map[string]string{
		"document type": `<!DOCTYPE a><a/>`, "entity": `<a>&b;</a>`, "external": `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, "depth": strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100),
		"parts": "<a>" + strings.Repeat("<b/>", 6000) + "</a>", "size": "<a>" + strings.Repeat("x", MaxDocument) + "</a>", "two roots": "<a/><b/>", "text outside": "<a/>x", "unclosed": "<a>", "crossed": "<a><b></a></b>",
		"undeclared prefix": "<p:a/>", "undeclared attribute prefix": `<a p:k=""/>`, "attribute twice": `<a k="1" k="2"/>`, "the same attribute by two prefixes": `<a xmlns:p="u" xmlns:q="u" p:k="1" q:k="2"/>`,
		"instruction": `<a/><?php x?>`, "empty": "", "undeclared again": `<p:a xmlns:p="u"><p:b xmlns:p=""/></p:a>`,
	} {
		if _, err := parse([]byte(document)); !errors.Is(err, ErrXML) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse: what is read is written in a form that reads the same, and nothing
// unsigned passes.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`<a:r xmlns:a="u:a" xmlns:b="u:b"><b:c a:k="v"><b:d/></b:c></a:r>`))
	f.Add([]byte("<a k='&quot;&lt;&#9;'>&gt;&#13;<![CDATA[<&]]></a>"))
	f.Add([]byte(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:1.0:assertion" Issuer="i" AssertionID="x"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo><Reference URI="#x"/></SignedInfo></Signature></saml:Assertion>`))
	f.Add([]byte(`<!DOCTYPE a><a/>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		if a, err := Verify(document, func(string) *x509.Certificate { return &x509.Certificate{} }, time.Unix(0, 0)); err == nil {
			t.Fatalf("%+v", a)
		}
		_, _ = readRequest(document) // must only not fall over
		root, err := parse(document)
		if err != nil {
			return
		}
		once := root.canonical(nil)
		again, err := parse([]byte(once))
		if err != nil {
			if len(once) > MaxDocument {
				return
			}
			t.Fatalf("%q became %q: %v", document, once, err)
		}
		if twice := again.canonical(nil); twice != once {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}
