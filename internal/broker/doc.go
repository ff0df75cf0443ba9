// Package broker gives software access tokens, so that nobody but Gatehouse holds
// what they are made with: people's refresh tokens, apps' certificates and secrets,
// passwords of service accounts.
//
// A token is taken, in this order, from memory, from the database, where all
// replicas keep theirs, and from the sign-in service. Only one caller of one
// replica asks the service for a connection at a time: within a process callers
// wait for a lock, between processes for a claim in the database, which has an end
// and is renewed while its holder waits for the answer. Whoever waited reads again
// rather than asks. No transaction is open meanwhile. What the service answers is
// stored before anybody gets it.
//
// A token is given only while it is good. When most of its life is over another one
// is fetched in the background, and the old one goes on being given; also while the
// service is in trouble. After a refusal the service is left alone for a while,
// longer each time, whatever callers ask: until somebody signs in, or says "try
// again".
//
// What lies in memory is dropped when a live event tells of a change, on every
// replica, and is held against the database every [Trust] in any case: that is the
// longest a token can be given out after a sign-out, a pause or a removal that a
// replica did not hear of.
package broker
