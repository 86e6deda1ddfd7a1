# shellcheck shell=bash
# Sends VRRP announcements of the highest priority to load balancers, each as if the other one had sent it: from this
# machine and, where it runs one, from a pod. Nobody must believe them.
# Set before this: TARGETS (lines `TO FROM`), ROUTER (the virtual router's number), VIP, COUNT (how many to each).

# Raw sockets need a program that can make them; Perl is part of the base system.
# forge COMMAND...: sends with COMMAND, which enters a network; prints how many went out.
forge() {
    local to from sent=0
    while read -r to from; do
        [[ $to ]] || continue
        # shellcheck disable=SC2016
        sent=$((sent + $("$@" perl -MSocket -e '
            my ($to, $from, $router, $vip, $count) = @ARGV;
            my ($source, $target) = (inet_aton($from), inet_aton($to));
            # VRRP version 3, an announcement: router, priority, one address, 10 hundredths of a second.
            my $advert = pack("CCCCnn", 0x31, $router, 255, 1, 10, 0) . inet_aton($vip);
            my $sum = 0;
            $sum += $_ for unpack("n*", $source . $target . pack("CCn", 0, 112, length $advert) . $advert);
            $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
            substr($advert, 6, 2) = pack("n", ~$sum & 0xffff);
            my $packet = pack("CCnnnCCn", 0x45, 0, 20 + length $advert, 0, 0, 255, 112, 0) . $source . $target . $advert;
            socket(my $raw, PF_INET, SOCK_RAW, 255) or die "no raw socket: $!\n";
            my $sent = 0;
            for (1 .. $count) {
                # One that a filter of this machine refuses has been tried too.
                send($raw, $packet, 0, sockaddr_in(0, $target));
                $sent++;
                select(undef, undef, undef, 0.05);
            }
            print $sent;
        ' "$to" "$from" "$ROUTER" "$VIP" "$COUNT")))
    done <<<"$TARGETS"
    echo "$sent"
}

echo '@@ machine'
forge env
echo '@@ pod'
pod=$(pgrep --oldest --exact probe)
if [[ $pod ]]; then
    forge nsenter --target "$pod" --net
fi
echo '@@ forged'
nft list counter inet caravan_guard forged 2>/dev/null
echo '@@ end'
