"""The cache of one kind: what the watches show, in whatever order they show it."""

from tidegate.controllers.shelf import Name, Shelf

SHOP = Name("shop", "points")


def test_an_object_replaced_under_its_name_survives_the_late_end_of_its_predecessor():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "uid-1", 10, "old", now=0)
    shelf.put(SHOP, "uid-2", 20, "new", now=1)  # deleted and made anew
    assert not shelf.drop(SHOP, "uid-1")  # the old one's end is told late
    assert shelf.get(SHOP) == "new"


def test_a_late_change_of_the_predecessor_does_not_come_back():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "uid-2", 20, "new", now=1)
    assert not shelf.put(SHOP, "uid-1", 15, "old, being deleted", now=2)
    assert shelf.get(SHOP) == "new"


def test_a_changed_object_replaces_itself():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "uid-1", 10, "one", now=0)
    assert shelf.put(SHOP, "uid-1", 11, "two", now=1)
    assert (shelf.get(SHOP), len(shelf)) == ("two", 1)


def test_an_object_is_dropped_once():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "uid-1", 10, "one", now=0)
    assert shelf.drop(SHOP, "uid-1")
    assert not shelf.drop(SHOP, "uid-1")
    assert shelf.get(SHOP) is None


def test_namespaces_are_apart():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "a", 1, "shop's", now=0)
    shelf.put(Name("bank", "points"), "b", 2, "bank's", now=0)
    shelf.put(Name(None, "points"), "c", 3, "everybody's", now=0)
    assert list(shelf.of("shop")) == ["shop's"]
    assert list(shelf.of(None)) == ["everybody's"]
    assert sorted(shelf) == ["bank's", "everybody's", "shop's"]


def test_a_roll_call_finds_who_left_unnoticed_but_not_who_came_while_it_ran():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "stays", 1, "", now=0)
    shelf.put(Name("shop", "left"), "left", 2, "", now=0)
    shelf.put(Name("shop", "new"), "new", 3, "", now=11)
    assert shelf.departed({"stays": SHOP}, since=10) == [(Name("shop", "left"), "left")]


def test_a_roll_call_finds_whom_no_watch_has_shown():
    shelf: Shelf[str] = Shelf()
    shelf.put(SHOP, "seen", 1, "", now=0)
    assert shelf.missing({"seen", "unseen"}) == {"unseen"}


def test_names_read_like_kubectl_writes_them():
    assert (str(SHOP), str(Name(None, "kafka"))) == ("shop/points", "kafka")
