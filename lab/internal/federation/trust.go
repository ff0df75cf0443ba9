package federation

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// Names of SOAP and WS-Trust.
const (
	soapSpace  = "http://www.w3.org/2003/05/soap-envelope"
	trustSpace = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
	issueType  = trustSpace + "/Issue"
	bearerKey  = trustSpace + "/Bearer"
)

// mex is the metadata document: one endpoint, WS-Trust 1.3 with user name and
// password over TLS (WS-Policy, WS-SecurityPolicy 1.2).
func (s *Server) mex(w http.ResponseWriter, at realm) {
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="utf-8"?>
<wsdl:definitions name="SecurityTokenService" targetNamespace="http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"`+
		` xmlns:tns="http://schemas.microsoft.com/ws/2008/06/identity/securitytokenservice" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/" xmlns:wsa10="http://www.w3.org/2005/08/addressing"`+
		` xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy" xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"`+
		` xmlns:sp="http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702">
<wsp:Policy wsu:Id="UserNamePolicy13"><wsp:ExactlyOne><wsp:All>
<sp:TransportBinding xmlns:sp="http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"><wsp:Policy><sp:TransportToken><wsp:Policy><sp:HttpsToken><wsp:Policy/></sp:HttpsToken></wsp:Policy></sp:TransportToken>`+
		`<sp:AlgorithmSuite><wsp:Policy><sp:Basic256/></wsp:Policy></sp:AlgorithmSuite><sp:Layout><wsp:Policy><sp:Strict/></wsp:Policy></sp:Layout><sp:IncludeTimestamp/></wsp:Policy></sp:TransportBinding>
<sp:SignedEncryptedSupportingTokens><wsp:Policy><sp:UsernameToken sp:IncludeToken="http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702/IncludeToken/AlwaysToRecipient"><wsp:Policy><sp:WssUsernameToken10/></wsp:Policy></sp:UsernameToken></wsp:Policy></sp:SignedEncryptedSupportingTokens>
<sp:Trust13><wsp:Policy><sp:MustSupportIssuedTokens/></wsp:Policy></sp:Trust13><wsa10:UsingAddressing/>
</wsp:All></wsp:ExactlyOne></wsp:Policy>
<wsdl:binding name="UserName13" type="tns:IWSTrust13Sync"><wsp:PolicyReference URI="#UserNamePolicy13"/><soap12:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<wsdl:operation name="Trust13Issue"><soap12:operation soapAction="`+trustSpace+`/RST/Issue" style="document"/><wsdl:input><soap12:body use="literal"/></wsdl:input><wsdl:output><soap12:body use="literal"/></wsdl:output></wsdl:operation></wsdl:binding>
<wsdl:service name="SecurityTokenService"><wsdl:port name="UserName13" binding="tns:UserName13"><soap12:address location="`+escape(at.base+pathActive)+`"/>
<wsa10:EndpointReference><wsa10:Address>`+escape(at.base+pathActive)+`</wsa10:Address></wsa10:EndpointReference></wsdl:port></wsdl:service>
</wsdl:definitions>
`)
}

// issue answers a request for a security token (WS-Trust 1.3 §4.1 with a
// UsernameToken).
func (s *Server) issue(w http.ResponseWriter, r *http.Request, at realm) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Requests for tokens are posted.", http.StatusMethodNotAllowed)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxDocument))
	if err != nil {
		fault(w, http.StatusRequestEntityTooLarge, "InvalidRequest", "The request is too large.")
		return
	}
	ask, err := readRequest(data)
	switch {
	case err != nil:
		fault(w, http.StatusBadRequest, "InvalidRequest", "The request cannot be read: "+err.Error()+".")
		return
	case ask.appliesTo != Audience:
		fault(w, http.StatusInternalServerError, "InvalidScope", "The federation server has no trust with the address that the token is asked for.")
		return
	}
	u, right := s.authenticate(at, ask.username, ask.password)
	if !right {
		fault(w, http.StatusInternalServerError, "FailedAuthentication", "The user name or the password is not right.")
		return
	}
	token, until, err := s.vouch(at, u, ask.version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	now := s.cfg.Store.Now()
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	_, _ = io.WriteString(w, `<s:Envelope xmlns:s="`+soapSpace+`" xmlns:a="http://www.w3.org/2005/08/addressing"><s:Header><a:Action s:mustUnderstand="1">`+trustSpace+`/RSTRC/IssueFinal</a:Action></s:Header><s:Body>`+
		`<trust:RequestSecurityTokenResponseCollection xmlns:trust="`+trustSpace+`">`+response(token, now, until, ask.version)+`</trust:RequestSecurityTokenResponseCollection></s:Body></s:Envelope>`)
}

// response is one RequestSecurityTokenResponse.
func response(token string, created, expires time.Time, version int) string {
	kind := saml1
	if version == 2 {
		kind = saml2
	}
	return `<trust:RequestSecurityTokenResponse xmlns:trust="` + trustSpace + `"><trust:Lifetime><wsu:Created xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">` + instant(created) +
		`</wsu:Created><wsu:Expires xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd">` + instant(expires) + `</wsu:Expires></trust:Lifetime>` +
		`<wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"><wsa:EndpointReference xmlns:wsa="http://www.w3.org/2005/08/addressing"><wsa:Address>` + Audience +
		`</wsa:Address></wsa:EndpointReference></wsp:AppliesTo><trust:RequestedSecurityToken>` + token + `</trust:RequestedSecurityToken><trust:TokenType>` + kind +
		`</trust:TokenType><trust:RequestType>` + issueType + `</trust:RequestType><trust:KeyType>` + bearerKey + `</trust:KeyType></trust:RequestSecurityTokenResponse>`
}

// request is what a RequestSecurityToken asks.
type request struct {
	username, password, appliesTo string
	version                       int // of the SAML assertion
}

func readRequest(data []byte) (*request, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	token := root.find("Header", "Security", "UsernameToken")
	ask := root.find("Body", "RequestSecurityToken")
	switch {
	case !root.is(soapSpace, "Envelope"):
		return nil, errors.New("it is no SOAP 1.2 envelope")
	case ask == nil || ask.space != trustSpace || ask.find("RequestType").value() != issueType:
		return nil, errors.New("it asks for something else than issuing a token by WS-Trust 1.3")
	case token.find("Username").value() == "" || token.find("Password").value() == "":
		return nil, errors.New("it carries no user name and password")
	}
	out := &request{username: token.find("Username").value(), password: token.find("Password").text(), appliesTo: ask.find("AppliesTo", "EndpointReference", "Address").value(), version: 1}
	switch ask.find("TokenType").value() {
	case saml2, "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV2.0":
		out.version = 2
	}
	return out, nil
}

// text is the text of an element with its blanks.
func (e *element) text() string {
	var b strings.Builder
	for _, child := range e.children {
		if text, ok := child.(string); ok {
			b.WriteString(text)
		}
	}
	return b.String()
}

// fault is how a federation server says no (SOAP 1.2 §5.4, WS-Trust 1.3 §11).
func fault(w http.ResponseWriter, status int, code, reason string) {
	w.Header().Set("Content-Type", "application/soap+xml; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<s:Envelope xmlns:s="`+soapSpace+`"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:t="`+trustSpace+`">t:`+code+
		`</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">`+escape(reason)+`</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>`)
}
