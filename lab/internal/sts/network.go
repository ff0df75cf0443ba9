package sts

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Network is where requests seem to come from: the lab is asked from loopback,
// which Conditional Access would take for no place at all. User, Client and
// Tenant say whose requests; what is left empty stands for all.
type Network struct {
	Address string `json:"address"`           // IPv4 or IPv6; "" takes the entry away
	Country string `json:"country,omitempty"` // two letters; "" maps to no country
	// CompliantNetwork: through Global Secure Access.
	CompliantNetwork bool   `json:"compliant_network,omitempty"`
	Tenant           string `json:"tenant,omitempty"` // id
	User             string `json:"user,omitempty"`   // user principal name
	Client           string `json:"client_id,omitempty"`
}

const maxNetworks = 1000

// Networks are the entries in force.
func (s *Server) Networks() []Network {
	if list := s.networks.Load(); list != nil {
		return slices.Clone(*list)
	}
	return []Network{}
}

// SetNetwork puts an entry in force, in place of one for the same requests.
func (s *Server) SetNetwork(n Network) error {
	if n.Address != "" {
		addr, err := netip.ParseAddr(n.Address)
		if err != nil {
			return fmt.Errorf("address is %q, must be an IP address", clip(n.Address))
		}
		n.Address = addr.String()
	}
	if len(n.Country) != 0 && len(n.Country) != 2 {
		return fmt.Errorf("country is %q, must be two letters", clip(n.Country))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.DeleteFunc(s.Networks(), func(old Network) bool {
		return strings.EqualFold(old.Tenant, n.Tenant) && strings.EqualFold(old.User, n.User) && strings.EqualFold(old.Client, n.Client)
	})
	if n.Address != "" {
		list = append(list, n)
	}
	if len(list) > maxNetworks {
		return errors.New("there are 1000 networks already; take some away first")
	}
	s.networks.Store(&list)
	return nil
}

// networkOf is where a request comes from: the entry that says most about whose
// request it is, or else the sender's own address. X-Forwarded-For counts for
// nothing, as for Entra ("Network assignment").
func (s *Server) networkOf(q *request, user string) Network {
	out, most := Network{Address: addressOf(q.http)}, -1
	list := s.networks.Load()
	if list == nil {
		return out
	}
	for _, n := range *list {
		says := 0
		fits := true
		for _, part := range [][2]string{{n.Tenant, q.tenant}, {n.Client, q.app.ClientID}, {n.User, user}} {
			if part[0] != "" {
				fits = fits && strings.EqualFold(part[0], part[1])
				says++
			}
		}
		if fits && says >= most {
			out, most = n, says
		}
	}
	return out
}
