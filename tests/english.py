"""Nouns with their plurals, written by hand: the reference of tests of singulars."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


def _pairs(text: str, separator: str = " ") -> dict[str, str]:
    """Singular → plural."""
    return dict(pair.split(":") for pair in text.split(separator))


COCO = _pairs(
    "person:people,bicycle:bicycles,car:cars,motorcycle:motorcycles,airplane:airplanes,bus:buses,train:trains,"
    "truck:trucks,boat:boats,traffic light:traffic lights,fire hydrant:fire hydrants,stop sign:stop signs,"
    "parking meter:parking meters,bench:benches,bird:birds,cat:cats,dog:dogs,horse:horses,sheep:sheep,cow:cows,"
    "elephant:elephants,bear:bears,zebra:zebras,giraffe:giraffes,backpack:backpacks,umbrella:umbrellas,"
    "handbag:handbags,tie:ties,suitcase:suitcases,frisbee:frisbees,skis:skis,snowboard:snowboards,"
    "sports ball:sports balls,kite:kites,baseball bat:baseball bats,baseball glove:baseball gloves,"
    "skateboard:skateboards,surfboard:surfboards,tennis racket:tennis rackets,bottle:bottles,"
    "wine glass:wine glasses,cup:cups,fork:forks,knife:knives,spoon:spoons,bowl:bowls,banana:bananas,"
    "apple:apples,sandwich:sandwiches,orange:oranges,broccoli:broccolis,carrot:carrots,hot dog:hot dogs,"
    "pizza:pizzas,donut:donuts,cake:cakes,chair:chairs,couch:couches,potted plant:potted plants,bed:beds,"
    "dining table:dining tables,toilet:toilets,tv:tvs,laptop:laptops,mouse:mice,remote:remotes,"
    "keyboard:keyboards,cell phone:cell phones,microwave:microwaves,oven:ovens,toaster:toasters,sink:sinks,"
    "refrigerator:refrigerators,book:books,clock:clocks,vase:vases,scissors:scissors,teddy bear:teddy bears,"
    "hair drier:hair driers,toothbrush:toothbrushes",
    ",",
)
"""COCO's 80 classes. `skis` is a plural already."""

OTHERS = _pairs(
    "man:men woman:women child:children grandchild:grandchildren fireman:firemen snowman:snowmen ox:oxen "
    "goose:geese mongoose:mongooses foot:feet tooth:teeth louse:lice die:dice ax:axes wife:wives life:lives "
    "leaf:leaves loaf:loaves half:halves shelf:shelves wolf:wolves calf:calves thief:thieves scarf:scarves "
    "hoof:hooves elf:elves dwarf:dwarves roof:roofs chef:chefs cliff:cliffs handkerchief:handkerchiefs glove:gloves "
    "stove:stoves olive:olives sleeve:sleeves wave:waves bivalve:bivalves potato:potatoes tomato:tomatoes "
    "mango:mangoes mosquito:mosquitoes buffalo:buffaloes domino:dominoes volcano:volcanoes hero:heroes photo:photos "
    "piano:pianos video:videos kangaroo:kangaroos canoe:canoes shoe:shoes toe:toes horseshoe:horseshoes baby:babies "
    "puppy:puppies lady:ladies cherry:cherries daisy:daisies pony:ponies butterfly:butterflies battery:batteries "
    "boy:boys toy:toys key:keys monkey:monkeys tray:trays pie:pies cookie:cookies movie:movies magpie:magpies "
    "hoodie:hoodies selfie:selfies smoothie:smoothies brownie:brownies box:boxes fox:foxes dish:dishes "
    "brush:brushes watch:watches church:churches peach:peaches moustache:moustaches quiche:quiches house:houses "
    "horse:horses nose:noses rose:roses purse:purses blouse:blouses fuse:fuses glass:glasses dress:dresses "
    "mattress:mattresses actress:actresses cross:crosses lens:lenses iris:irises walrus:walruses octopus:octopuses "
    "hippopotamus:hippopotamuses rhinoceros:rhinoceroses trellis:trellises thermos:thermoses canvas:canvases "
    "atlas:atlases cactus:cacti fungus:fungi larva:larvae antenna:antennae aquarium:aquaria oasis:oases "
    "vertebra:vertebrae quiz:quizzes waltz:waltzes taxi:taxis kiwi:kiwis bikini:bikinis sari:saris safari:safaris "
    "guru:gurus menu:menus gnu:gnus toga:togas sofa:sofas camera:cameras bee:bees tree:trees knee:knees cage:cages "
    "bridge:bridges face:faces slice:slices vehicle:vehicles candle:candles moth:moths mouth:mouths "
    "passerby:passersby mother-in-law:mothers-in-law flip-flop:flip-flops T-shirt:T-shirts TV:TVs deer:deer "
    "fish:fish aircraft:aircraft moose:moose bison:bison series:series species:species human:humans German:Germans"
)
"""Irregular nouns, and regular ones that a rule may cut at the wrong place."""

SINGULARS = _words(
    "dress bus glass grass bass boss class mass lens iris cactus octopus walrus virus gas canvas atlas tennis chess "
    "compass mattress actress waitress princess fortress harness address business asparagus hibiscus campus crocus "
    "eucalyptus hippopotamus platypus abacus thermos rhinoceros albatross moss brass pelvis trellis tortoise "
    "mongoose moose hose cheese geyser ice juice rice lettuce fence bra camera sofa chassis hourglass wineglass "
    "overpass cutlass carcass seabass mantis ibis oasis metropolis specimen abdomen omen hummus stylus lotus "
    "wilderness minibus gallows series stamen visible white"
)
"""Words that are no plurals, most of them with the ending of one."""
