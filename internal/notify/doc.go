// Package notify tells people and programs what has happened: by e-mail to
// operators, by signed webhooks to other software.
//
// [Service.Publish] is called in the transaction of the change that is to be
// told. It writes the notice and one delivery for each receiver, and a job for
// each delivery; so what was committed is told, and what was rolled back is not.
// Of one kind and key there is one notice, however often it is published.
//
// A delivery is tried until it is taken or its attempts are used up, which is
// about a day later ([Gaps]). Before anything is sent the attempt is written
// down: if the process dies between sending and noting, the attempt stays
// without outcome, and the notice is sent once more with the same webhook-id or
// Message-ID. That is at least once, never lost.
//
// Who may hear what is decided when it is sent, not when it was subscribed to:
// an operator who lost the role in a tenant hears nothing more of it, not even
// what was published before.
//
// Nothing secret goes out: a notice has plain words, names and a link into the
// console. The one exception is the link of an invitation ([Service.Invite]),
// which is sealed until it has been sent and erased then.
package notify
